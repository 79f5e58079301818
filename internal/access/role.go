package access

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what a person is trusted with. Each role may what those before it may.
type Role string

// The roles, from the one that may least.
const (
	// Viewer reads, with recipients and references masked.
	Viewer Role = "viewer"
	// Support finds people's messages, and cancels those of one person.
	Support Role = "support"
	// Sender starts batches, and controls those that it started.
	Sender Role = "sender"
	// Operator may do everything.
	Operator Role = "operator"
)

// Roles lists them, from the one that may least.
func Roles() []Role { return []Role{Viewer, Support, Sender, Operator} }

// ParseRole reads the name of a role.
func ParseRole(s string) (Role, error) {
	if !slices.Contains(Roles(), Role(s)) {
		return "", fmt.Errorf("must be viewer, support, sender or operator")
	}
	return Role(s), nil
}

// Right is something that a person may do.
type Right string

// The rights, each behind the lowest role that has it.
const (
	// Read is to read batches, messages, counts and accounts.
	Read Right = "read" // viewer

	// Unmask is to see recipients and references as they are.
	Unmask Right = "unmask" // support
	// Find is to look for the messages of one person, and to read one of them with its text.
	Find Right = "find"
	// CancelPerson is to cancel the messages of one person, in any batch.
	CancelPerson Right = "cancel-person"

	// Start is to start batches, to check requests and to send tests of them.
	Start Right = "start" // sender
	// Control is to cancel, pause, resume and reschedule batches that one has started.
	Control Right = "control"

	// ControlAll is the same for everybody's batches.
	ControlAll Right = "control-all" // operator
	Redrive    Right = "redrive"
	Hold       Right = "hold" // and to release
	Suppress   Right = "suppress"
	Export     Right = "export"
	Forget     Right = "forget"
	Audit      Right = "audit"
)

// Rights lists all of them.
func Rights() []Right {
	return []Right{Read, Unmask, Find, CancelPerson, Start, Control, ControlAll, Redrive, Hold, Suppress, Export, Forget, Audit}
}

// May reports whether a role has a right. An unknown role has none, and nobody has an
// unknown right.
func May(role Role, right Right) bool {
	at := slices.Index(Roles(), role)
	return at >= 0 && slices.Contains(Rights(), right) && at >= slices.Index(Roles(), lowest(right))
}

// lowest is the role that may least of those that have a right.
func lowest(right Right) Role {
	switch right {
	case Read:
		return Viewer
	case Unmask, Find, CancelPerson:
		return Support
	case Start, Control:
		return Sender
	}
	return Operator
}

// Needed says which roles have a right, as "support, sender or operator".
func Needed(right Right) string {
	all := Roles()
	all = all[slices.Index(all, lowest(right)):]
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = string(r)
	}
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
