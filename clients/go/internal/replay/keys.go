// Package replay holds what a run remembers of its history while its code runs again: which step keys were used, and
// which results are recorded under them.
package replay

import "strconv"

type use struct {
	count   int
	pending bool
}

// Keys gives every use of a step key its own name: "charge", "charge#2", "charge#3" by call order. Call order is only
// sure inside one branch, so a use that begins while another use of the same key is pending is refused.
type Keys struct {
	uses  map[string]*use
	order []string
}

// NewKeys returns the keys of a run that has used none.
func NewKeys() *Keys {
	return &Keys{uses: map[string]*use{}}
}

// Claim returns the key of this use; false when another use of the same key is pending. Release must follow when the
// use has its result.
func (k *Keys) Claim(base string) (string, bool) {
	known := k.uses[base]
	if known == nil {
		k.uses[base] = &use{count: 1, pending: true}
		k.order = append(k.order, base)
		return base, true
	}
	if known.pending {
		return "", false
	}
	known.pending = true
	known.count++
	return numbered(base, known.count), true
}

// Release ends the pending use of a key.
func (k *Keys) Release(base string) {
	if known := k.uses[base]; known != nil {
		known.pending = false
	}
}

// List returns every key that was given, in call order of the first uses.
func (k *Keys) List() []string {
	keys := []string{}
	for _, base := range k.order {
		keys = append(keys, base)
		for count := 2; count <= k.uses[base].count; count++ {
			keys = append(keys, numbered(base, count))
		}
	}
	return keys
}

func numbered(base string, count int) string {
	return base + "#" + strconv.Itoa(count)
}

// HasCounter tells whether a key ends in "#" and digits, which are kept for repeated keys.
func HasCounter(key string) bool {
	at := len(key) - 1
	for at >= 0 && key[at] >= '0' && key[at] <= '9' {
		at--
	}
	return at >= 0 && at < len(key)-1 && key[at] == '#'
}
