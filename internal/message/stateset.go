package message

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// StateSet is a choice of states. The zero value chooses all of them.
type StateSet uint16

// stateSets are the words that choose several states, and the word that texts have
// for Accepted.
var stateSets = []struct {
	name string
	set  StateSet
}{
	{"not-sent", setOf(Failed, Rejected, Expired, Canceled)},
	{"not-delivered", setOf(Failed, Rejected, Expired, Canceled, Undelivered, Unknown)},
	{"waiting", setOf(Accepted)},
}

func setOf(states ...State) (set StateSet) {
	for _, s := range states {
		set |= 1 << s
	}
	return set
}

// ParseStates reads names of states with commas between them, as failed,expired. Beside
// the states there are not-sent (failed, rejected, expired, canceled), not-delivered
// (those, undelivered and unknown) and waiting (accepted). An empty text chooses
// all states.
func ParseStates(names string) (StateSet, error) {
	if names == "" {
		return 0, nil
	}
	var set StateSet
	for name := range strings.SplitSeq(names, ",") {
		one, err := parseStates(strings.TrimSpace(name))
		if err != nil {
			return 0, err
		}
		set |= one
	}
	return set, nil
}

func parseStates(name string) (StateSet, error) {
	for _, s := range stateSets {
		if s.name == name {
			return s.set, nil
		}
	}
	s, err := ParseState(name)
	if err != nil {
		return 0, fmt.Errorf("%w, or not-sent (failed, rejected, expired, canceled) or not-delivered (those, undelivered and unknown)", err)
	}
	return setOf(s), nil
}

// StateWords are all names that ParseStates knows.
func StateWords() []string {
	words := make([]string, 0, int(numStates)+len(stateSets))
	for _, s := range countOrder {
		words = append(words, s.String())
	}
	for _, s := range stateSets {
		words = append(words, s.name)
	}
	return words
}

// Has reports whether s is chosen.
func (set StateSet) Has(s State) bool { return set == 0 || set&(1<<s) != 0 }

// ParseRedrive reads the states of messages to send again, sorted and each once; no names
// are failed and expired. A message that a provider took, or that failed validation, is
// never sent again, and one that is unknown, since it may have arrived, only where that
// state itself is named: not-delivered leaves it out.
func ParseRedrive(names []string) ([]State, error) {
	repeatable := []State{Failed, Expired, Unknown, Canceled, Undelivered}
	if len(names) == 0 {
		return repeatable[:2], nil
	}
	var states []State
	for name := range strings.SplitSeq(strings.Join(names, ","), ",") {
		name = strings.TrimSpace(name)
		set, err := ParseStates(name)
		if err != nil || name == "" {
			return nil, cmp.Or(err, errors.New("a state is missing between two commas"))
		}
		before := len(states)
		for _, st := range repeatable {
			if set.Has(st) && (st != Unknown || set == setOf(Unknown)) {
				states = append(states, st)
			}
		}
		if len(states) == before {
			return nil, fmt.Errorf("messages that are %s cannot be sent again, expected failed, expired, unknown, canceled or undelivered", name)
		}
	}
	slices.Sort(states)
	return slices.Compact(states), nil
}

// DetailEndedByTemporal is the detail of a message that is canceled since Temporal ended
// its batch, and nobody canceled it.
const DetailEndedByTemporal = "temporal ended the workflow before a provider took it"
