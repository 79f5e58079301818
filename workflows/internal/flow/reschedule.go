package flow

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"volley/internal/message"
	"volley/workflows/contract"
)

// oneYear is the horizon of dialects without their own.
const oneYear = 366 * 24 * time.Hour

// DueAfter reads a time, or a duration from now, within a horizon in ms.
func DueAfter(now time.Time, horizon int64, s string) (int64, error) {
	ahead := time.Duration(horizon) * time.Millisecond
	if ahead <= 0 {
		ahead = oneYear
	}
	at, err := message.ParseTime(s, now)
	if err != nil {
		return 0, temporal.NewApplicationError(fmt.Sprintf("sendAfter: %q is %v", s, err), contract.ErrInputType)
	}
	if at.After(now.Add(ahead)) {
		return 0, temporal.NewApplicationError(
			fmt.Sprintf("sendAfter: %s is more than %s ahead", at.UTC().Format(time.RFC3339), message.Horizon(ahead)), contract.ErrInputType)
	}
	// A time before now is now: validity counts from when it can be sent.
	return max(at.UnixMilli(), now.UnixMilli()), nil
}
