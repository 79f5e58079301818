package main

import (
	"fmt"
	"strings"

	"volley/internal/intake"
	"volley/internal/message"
)

// groupText is what a group says.
func groupText(g *intake.ProblemGroup) string {
	switch {
	case g.Messages == 0 || g.Messages == 1 && !g.Whole:
		if g.First.Path == "" {
			return "(the whole request): " + g.First.Detail
		}
		return g.First.Place()
	case g.Whole && g.Messages == 1:
		return g.Path + ": " + g.Detail
	}
	what := "messages"
	if g.Lines {
		what = "lines"
	}
	more := ""
	if g.Messages > len(g.Places) {
		more = ", …"
	}
	return fmt.Sprintf("%s × %s: %s (%s %s%s)", number(g.Messages), g.Path, g.Detail, what, strings.Join(g.Places, ", "), more)
}

// showGroups lists the problems for a person, a row for each kind, at most limit of
// them; -1 is all.
func (a *app) showGroups(g *intake.ProblemGroups, limit int) {
	t := &table{}
	unshown, problems := 0, g.Lost
	for i, group := range g.Sorted() {
		if limit >= 0 && i >= limit {
			unshown++
			problems += group.Messages
			if group.Whole {
				problems++
			}
			continue
		}
		t.row(cell{group.Code, red}, cell{groupText(group), 0})
	}
	a.table(t)
	switch {
	case unshown > 0:
		a.printf("… and %s, --problems all shows them\n", plural(problems, "more problem"))
	case g.Lost > 0:
		a.printf("… and %s, -o json lists them\n", plural(problems, "more problem"))
	}
}

// showProblems lists problems for a person, at most limit kinds of them.
func (a *app) showProblems(problems message.Problems, limit int) {
	var g intake.ProblemGroups
	for _, p := range problems {
		g.Add(p)
	}
	a.showGroups(&g, limit)
}
