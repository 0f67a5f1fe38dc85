package replay

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestKeysEndInNoCounter(t *testing.T) {
	for _, key := range []string{"a#1", "#22", "x#0"} {
		if !HasCounter(key) {
			t.Errorf("%q is taken for a plain key", key)
		}
	}
	for _, key := range []string{"a", "a#", "a#b", "42", "a#1b", "", "#"} {
		if HasCounter(key) {
			t.Errorf("%q is taken for a repeated key", key)
		}
	}
}

func TestKeysAreNumberedByCallOrder(t *testing.T) {
	keys := NewKeys()
	for _, want := range []string{"a", "a#2", "a#3"} {
		if key, ok := keys.Claim("a"); !ok || key != want {
			t.Fatalf("claimed %q, %v; want %q", key, ok, want)
		}
		keys.Release("a")
	}
	if list := keys.List(); !slices.Equal(list, []string{"a", "a#2", "a#3"}) {
		t.Fatalf("list %v", list)
	}
}

func TestKeysAreUniqueForEveryUse(t *testing.T) {
	for range 200 {
		keys := NewKeys()
		seen := map[string]bool{}
		for range rand.IntN(20) {
			base := string(rune('a' + rand.IntN(3)))
			key, ok := keys.Claim(base)
			if !ok || seen[key] {
				t.Fatalf("%q was given twice or refused", key)
			}
			seen[key] = true
			keys.Release(base)
		}
		if len(keys.List()) != len(seen) {
			t.Fatalf("list %v of %v", keys.List(), seen)
		}
	}
}

func TestAKeyInUseIsRefused(t *testing.T) {
	keys := NewKeys()
	keys.Claim("a")
	if _, ok := keys.Claim("a"); ok {
		t.Fatal("a pending key was given again")
	}
	keys.Release("a")
	if key, ok := keys.Claim("a"); !ok || key != "a#2" {
		t.Fatalf("a released key gave %q, %v", key, ok)
	}
}
