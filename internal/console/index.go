package console

import (
	"errors"

	"volley/internal/index"
)

// isIndexAway reports whether the database of the index does not answer.
func isIndexAway(err error) bool { return errors.Is(err, index.ErrUnavailable) }

// isIndexInvalid reports whether the index refused a query.
func isIndexInvalid(err error) bool { return errors.Is(err, index.ErrInvalid) }
