package main

import (
	"fmt"

	"volley/internal/message"
	"volley/starter"
)

func (a *app) startedJSON(doc startDocument, limit int, o *startContext) error {
	if o.log == nil {
		doc.Problems = clipped(doc.Problems, limit)
		return a.print(doc)
	}
	doc.Problems = message.Problems{}
	return a.printWith(doc, o.log)
}

func (a *app) startedText(s starter.Started, limit int, o *startContext) {
	if o.log != nil {
		o.log.show(a)
	}
	note := ""
	if s.Existing {
		note = ", which was there already"
	}
	if s.RedriveOf != "" {
		note += ", from batch " + s.RedriveOf
	}
	note = leftOutNote(o.excluded, o.suppressed, " of them") + note
	a.printf("batch %s: %s, %s rejected%s\n", s.ID, plural(s.Total, "message"), number(s.Rejected), note)
	a.showDue(s.SendAfter)
	a.showEstimate(s.Estimate, o.limited)
	if o.log == nil && !o.shown && len(s.Problems) > 0 {
		a.showProblems(s.Problems, limit)
	}
}

// leftOutNote says how many messages are left out and why; those that are suppressed are
// among the excluded.
func leftOutNote(excluded, suppressed int, ofThem string) (note string) {
	if suppressed > 0 {
		note = fmt.Sprintf(", %s%s suppressed", number(suppressed), ofThem)
	}
	if asked := excluded - suppressed; asked > 0 {
		note += fmt.Sprintf(", %s%s left out as asked", number(asked), ofThem)
	}
	return note
}

func isAre(n int, noun string) string {
	return plural(n, noun) + " " + message.Verb(n, "is", "are")
}
