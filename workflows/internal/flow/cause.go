package flow

import (
	"errors"

	"go.temporal.io/sdk/temporal"
)

// Cause is what an activity said when it failed, without Temporal's own words.
func Cause(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	var late *temporal.TimeoutError
	if errors.As(err, &late) {
		return "it did not answer in time"
	}
	return err.Error()
}
