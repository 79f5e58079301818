//go:build sabotage

package sabotage

import "os"

// chosen is the one promise that this process breaks.
var chosen = Name(os.Getenv("VOLLEY_SABOTAGE"))

// Active reports whether a promise is to be broken.
func Active(n Name) bool { return n == chosen }
