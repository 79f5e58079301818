package message

import (
	"errors"
	"regexp"
	"strings"
)

// NameRule says in errors what CheckName accepts.
const NameRule = `1 to 100 of A-Z a-z 0-9 _ . -, starting with a letter or a digit, without ".." and "__0x"`

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)

// CheckName reports whether s can be the id of a batch or the name of a tenant or an
// account, as NameRule says. Names stand in the keys of the store's objects, where the
// drivers of buckets read ".." before a slash, and "__0x", as something else.
func CheckName(s string) error {
	if !nameForm.MatchString(s) || strings.Contains(s, "..") || strings.Contains(s, "__0x") {
		return errors.New("must be " + NameRule)
	}
	return nil
}
