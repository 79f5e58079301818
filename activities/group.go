package activities

import (
	"context"

	"volley/internal/message"
)

// SendGroup is the shape for now.
func (a *Activities) SendGroup(context.Context, GroupInput) (GroupResult, error) {
	return GroupResult{V: message.Version}, nil
}
