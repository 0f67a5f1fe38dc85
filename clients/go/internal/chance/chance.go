// Package chance is where workers get their random numbers from.
package chance

import "math/rand/v2"

// Float64 is uniform in [0, 1). The soak worker replaces it before its worker begins: without jitter it reconnects at
// once, and ten thousand reconnects take minutes.
var Float64 = rand.Float64
