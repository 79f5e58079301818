package store

import (
	"volley/internal/message"
)

// Encode writes a message as a segment has it, and tells whether it mended it.
func Encode(m *message.Message) (data []byte, mended bool, err error) {
	var e encoder
	data, err = e.encode(m, m.Due, m.TTL)
	return data, e.mended, err
}

// Runs is how many runs a writer has in its temporary file.
func Runs(w *Writer) int { return len(w.spill.runs) }
