package providertest

import "testing"

// Run runs the suite.
func Run(t *testing.T, newSender New, h Hooks) {
	t.Helper()
}
