package message

import (
	"strconv"
	"time"
)

// RowColumns are the names of a row's columns where rows are a table, as in CSV.
func RowColumns() []string {
	return []string{
		"index", "id", "reference", "to", "channel", "account", "state", "dueAt", "expiresAt", "sentAt", "finishedAt",
		"providerId", "attempts", "code", "detail", "rev", "given",
	}
}

// Columns are a row's values in the order of RowColumns; what is not there is empty.
func (r *Row) Columns() []string {
	reference := ""
	if r.Reference != nil {
		reference = *r.Reference
	}
	return []string{
		strconv.Itoa(r.Index), r.ID, reference, r.To, r.Channel, r.Account, r.State.String(),
		stamp(r.DueAt), stamp(r.ExpiresAt), stamp(r.SentAt), stamp(r.FinishedAt),
		r.ProviderID, strconv.Itoa(r.Attempts), r.Code, r.Detail, strconv.FormatInt(r.Rev, 10), r.Given,
	}
}

// Cells are Columns as the cells of a CSV file that a spreadsheet may open, as EscapeCell
// writes them.
func (r *Row) Cells() []string {
	cells := r.Columns()
	for i := range cells {
		cells[i] = EscapeCell(cells[i])
	}
	return cells
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}
