package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"volley/internal/message"
	"volley/starter"
)

// Columns of a list.
const (
	listID = iota
	listState
	listTotal
	listSuccess
	listLabel
	listReason
	listEnd
	listAge
	listMore
	listColumns
)

// Widths below which a column is left out, or another one, rather than cut: that of a
// batch's label, which is cut further where nothing else is left, and that of the rest of
// its metadata.
const (
	labelEnough = 16
	labelLeast  = 5
	moreEnough  = 12
)

// showList writes a line for each batch. On a terminal it fits its width: what is least
// missed goes first, and at last the reason to a line of its own. Ids are never cut, since
// they are what other commands need. labels are the metadata keys that can be searched.
func (a *app) showList(page starter.Batches, labels []string) {
	if len(page.Batches) == 0 {
		a.printf("no batches\n")
		return
	}
	room := math.MaxInt // nothing is cut off for a program
	if a.terminal(a.stdout) {
		room = a.width()
	}
	a.table(a.listTable(page.Batches, labels, room))
	if page.Next != "" {
		a.printf("more with --cursor %s\n", page.Next)
	}
}

// listTable is the fullest table that fits, or else the narrowest.
func (a *app) listTable(all []message.Status, labels []string, room int) (t *table) {
	for _, try := range []struct {
		leaveOut []int
		label    int // the least width of the label
	}{
		{nil, labelEnough},
		{[]int{listMore}, labelEnough},
		{[]int{listMore, listAge}, labelEnough},
		{[]int{listMore, listAge, listReason}, labelEnough},
		{[]int{listMore, listAge, listReason, listTotal}, labelLeast},
	} {
		t = a.wholeList(all, labels)
		if len(try.leaveOut) == 0 {
			t.clip(listMore, max(room-t.widthWithout(listMore), moreEnough))
		}
		label := listLabel
		for _, c := range try.leaveOut {
			if c < listLabel {
				label--
			}
		}
		t.leaveOut(try.leaveOut)
		t.clip(label, max(room-t.widthWithout(label), try.label))
		if t.width() <= room {
			break
		}
	}
	t.dropEmpty()
	return t
}

// leaveOut takes out columns, which are named from the last to the first. Reasons go to
// lines of their own.
func (t *table) leaveOut(columns []int) {
	for _, c := range columns {
		if c == listReason {
			for r := range t.rows[1:] {
				t.below[r+1] = t.rows[r+1][c]
			}
		}
		t.drop(c)
	}
}

// wholeList has all that is known of batches, in columns.
func (a *app) wholeList(all []message.Status, labels []string) *table {
	now := a.now()
	label, heading := "", "metadata"
	if len(labels) > 0 {
		label, heading = labels[0], labels[0]
	}
	t := &table{right: map[int]bool{listTotal: true, listSuccess: true, listAge: true}, below: map[int]cell{}}
	t.row(headings("batch", "state", "total", "success", heading, "reason", "end", "age", "more")...)
	for _, st := range all {
		share, shade := successOf(st)
		named, more := metadataOf(st, label)
		row := make([]cell, listColumns)
		row[listID].text = st.ID
		row[listState] = cell{string(st.State), batchColour(st)}
		row[listTotal].text = number(st.Total)
		row[listSuccess] = cell{share, shade}
		row[listLabel].text = named
		row[listReason] = reasonOf(st.Reasons)
		row[listEnd].text = endOf(st, now)
		row[listAge].text = age(now.Sub(st.CreatedAt))
		row[listMore].text = more
		t.row(row...)
	}
	return t
}

// reasonOf is why most of the messages that did not arrive did not.
func reasonOf(all message.Reasons) cell {
	r := worst(all)
	if r.Code == "" {
		return cell{}
	}
	c := cell{text: r.State.String() + ": " + r.Code}
	if r.State == message.Failed || r.State == message.Undelivered {
		c.colour = red
	}
	return c
}

// longAgo is from when on the day of an end is enough.
const longAgo = 5 * 24 * time.Hour

// endOf is when a batch ended, or about will.
func endOf(st message.Status, now time.Time) string {
	switch p := progressOf(st); {
	case st.FinishedAt != nil && now.Sub(*st.FinishedAt) > longAgo:
		return st.FinishedAt.In(now.Location()).Format(time.DateOnly)
	case st.FinishedAt != nil:
		return clock(*st.FinishedAt, now)
	case p.ends != nil:
		return "~" + clock(*p.ends, now)
	}
	return ""
}

// successOf is the share of a batch's messages that were sent, delivered ones among
// them. It is 100% only where all were.
func successOf(st message.Status) (share string, shade colour) {
	if st.Counts == nil || st.Total == 0 {
		return "-", 0
	}
	sent := st.Counts[message.Sent] + st.Counts[message.Delivered]
	if batchColour(st) == red {
		shade = red
	}
	if sent == st.Total {
		return "100%", shade
	}
	return fmt.Sprintf("%.1f%%", math.Floor(float64(sent)*1000/float64(st.Total))/10), shade
}

// metadataOf is what a batch has under a key, and what else is to be said of it: what it
// sends again, and the rest of its metadata. Without a key it is all one.
func metadataOf(st message.Status, label string) (named, more string) {
	var rest []string
	if st.RedriveOf != nil {
		rest = append(rest, "redrive of "+*st.RedriveOf)
	}
	d := json.NewDecoder(bytes.NewReader(st.Metadata))
	if open, err := d.Token(); err == nil && open == json.Delim('{') {
		for d.More() {
			var value json.RawMessage
			key, err := d.Token()
			if err != nil || d.Decode(&value) != nil {
				break
			}
			text := string(value)
			_ = json.Unmarshal(value, &text) // what is no text stays JSON
			if key == label {
				named = text
				continue
			}
			rest = append(rest, fmt.Sprintf("%s=%s", key, text))
		}
	}
	if label == "" {
		return strings.Join(rest, ", "), ""
	}
	return named, strings.Join(rest, ", ")
}
