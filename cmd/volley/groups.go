package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"volley/internal/message"
)

const (
	// maxGroups is how many kinds of problems are told apart for a person.
	maxGroups = 10_000
	// maxPlaces is how many places of one kind are named.
	maxPlaces = 5
)

// problemGroups gathers the problems of a request by what they say, since one cause
// often shows in every message. The zero value has none.
type problemGroups struct {
	groups map[problemKind]*problemGroup
	order  []*problemGroup
	// lost is how many problems are of no group, because there were too many.
	lost int
}

// problemKind is what problems of one kind share: the path within the message, the
// code, and the detail without the line.
type problemKind struct{ path, code, detail string }

// problemGroup is problems of one kind.
type problemGroup struct {
	problemKind
	// first is the whole of the first one.
	first message.Problem
	// whole means that one of the problems is the request's own. messages counts those
	// of messages, and places holds where the first of them are.
	whole    bool
	messages int
	lines    bool
	places   []string
}

// add takes a problem in.
func (g *problemGroups) add(p message.Problem) {
	kind, line := kindOf(p)
	group := g.groups[kind]
	if group == nil {
		if len(g.order) == maxGroups {
			g.lost++
			return
		}
		kind = problemKind{strings.Clone(kind.path), strings.Clone(kind.code), strings.Clone(kind.detail)}
		group = &problemGroup{problemKind: kind, first: p}
		if g.groups == nil {
			g.groups = map[problemKind]*problemGroup{}
		}
		g.groups[kind] = group
		g.order = append(g.order, group)
	}
	if p.Index == message.WholeBatch {
		group.whole = true
		return
	}
	group.messages++
	if len(group.places) < maxPlaces {
		if group.lines = line != ""; !group.lines {
			line = strconv.Itoa(p.Index)
		}
		group.places = append(group.places, strings.Clone(line))
	}
}

// kindOf takes the message's place out of a problem. line is where in the file it
// is, for problems that say it.
func kindOf(p message.Problem) (kind problemKind, line string) {
	kind = problemKind{p.Path, p.Code, p.Detail}
	if p.Index == message.WholeBatch {
		return kind, ""
	}
	index := "[" + strconv.Itoa(p.Index) + "]"
	if before, behind, ok := strings.Cut(p.Path, index); ok {
		if kind.path = strings.TrimPrefix(behind, "."); kind.path == "" {
			kind.path = before + "[…]"
		}
	}
	if rest, ok := strings.CutPrefix(p.Detail, "line "); ok {
		if number, detail, ok := strings.Cut(rest, ": "); ok && strings.Trim(number, "0123456789") == "" {
			line, kind.detail = number, detail
		}
	}
	return kind, line
}

// sorted are the groups: first what concerns the request, then the largest.
func (g *problemGroups) sorted() []*problemGroup {
	slices.SortStableFunc(g.order, func(a, b *problemGroup) int {
		if a.whole != b.whole {
			if a.whole {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.messages, a.messages)
	})
	return g.order
}

// text is what a group says.
func (g *problemGroup) text() string {
	switch {
	case g.messages == 0 || g.messages == 1 && !g.whole:
		if g.first.Path == "" {
			return "(the whole request): " + g.first.Detail
		}
		return g.first.Place()
	case g.whole && g.messages == 1:
		return g.path + ": " + g.detail
	}
	what := "messages"
	if g.lines {
		what = "lines"
	}
	more := ""
	if g.messages > len(g.places) {
		more = ", …"
	}
	return fmt.Sprintf("%s × %s: %s (%s %s%s)", number(g.messages), g.path, g.detail, what, strings.Join(g.places, ", "), more)
}

// showGroups lists the problems for a person, a row for each kind, at most limit of
// them; -1 is all.
func (a *app) showGroups(g *problemGroups, limit int) {
	t := &table{}
	unshown, problems := 0, g.lost
	for i, group := range g.sorted() {
		if limit >= 0 && i >= limit {
			unshown++
			problems += group.messages
			if group.whole {
				problems++
			}
			continue
		}
		t.row(cell{group.code, red}, cell{group.text(), 0})
	}
	a.table(t)
	switch {
	case unshown > 0:
		a.printf("… and %s, --problems all shows them\n", plural(problems, "more problem"))
	case g.lost > 0:
		a.printf("… and %s, -o json lists them\n", plural(problems, "more problem"))
	}
}

// showProblems lists problems for a person, at most limit kinds of them.
func (a *app) showProblems(problems message.Problems, limit int) {
	var g problemGroups
	for _, p := range problems {
		g.add(p)
	}
	a.showGroups(&g, limit)
}
