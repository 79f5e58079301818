package contract

import (
	"fmt"
	"strings"

	"volley/internal/message"
)

// HoldRedrivenInput is what HoldRedriven is given: a redrive of a batch, and which of its
// messages belong to that redrive and to no later one. The workflow's id, RedriveID, is
// taken once, so that two redrives cannot both be the nth of a batch.
type HoldRedrivenInput struct {
	V int `json:"v"`
	// Batch is the id of the workflow of the batch whose messages are sent again, and
	// Created when that was made (Unix ms), which tells it from a later one of the same id.
	Batch   string `json:"batch"`
	Created int64  `json:"created"`
	// To is the id of the new batch, and Query stands for what was asked for.
	To    string `json:"to"`
	Query string `json:"query"`
	// At is when it was asked for, in Unix ms.
	At int64 `json:"at"`
	// Messages are those of the redrive.
	Messages message.IndexSet `json:"messages"`
}

// RedriveID is the id of the workflow that holds the messages of the nth redrive of a
// batch, counted from 1. Batch is the id of the batch's workflow.
func RedriveID(batch string, n int) string {
	return fmt.Sprintf("redrive-%s~%d", strings.TrimPrefix(batch, "batch-"), n)
}

// BatchRunsInput asks whether the workflow of a batch runs.
type BatchRunsInput struct {
	V int `json:"v"`
	// Batch is the id of the batch's workflow.
	Batch string `json:"batch"`
}
