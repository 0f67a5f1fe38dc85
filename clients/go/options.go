package everstep

import "fmt"

// optional returns the options of a call that takes at most one struct of them; none means the zero value.
func optional[Options any](given []Options) (Options, error) {
	var chosen Options
	switch len(given) {
	case 0:
		return chosen, nil
	case 1:
		return given[0], nil
	default:
		return chosen, &InvalidArgumentError{message: fmt.Sprintf("a call takes one %T, not %d", chosen, len(given))}
	}
}
