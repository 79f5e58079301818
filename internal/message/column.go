package message

import (
	"errors"
	"strconv"
)

// column holds one number per row. Its JSON is a list of numbers and of pairs [step,
// times]: each row's number is the previous one plus the step, so a column of equal or
// of counting numbers takes a handful of bytes. No column at all means that every
// number is 0.
type column struct {
	steps []step
	// at, left and value are where next stands.
	at    int
	left  int64
	value int64
}

type step struct{ by, times int64 }

// columnOf packs n numbers.
func columnOf(n int, value func(i int) int64) column {
	var c column
	var last int64
	for i := range n {
		v := value(i)
		by := v - last
		last = v
		if k := len(c.steps); k > 0 && c.steps[k-1].by == by {
			c.steps[k-1].times++
		} else {
			c.steps = append(c.steps, step{by, 1})
		}
	}
	if len(c.steps) == 1 && c.steps[0].by == 0 {
		c.steps = nil
	}
	return c
}

// IsZero lets omitzero leave an empty column out.
func (c column) IsZero() bool { return len(c.steps) == 0 }

// next is the number of row i; rows are asked for in order.
func (c *column) next(bad *decodeErr, i int) int64 {
	if len(c.steps) == 0 {
		return 0
	}
	for c.left == 0 {
		if c.at == len(c.steps) {
			bad.found = true
			return 0
		}
		c.left = c.steps[c.at].times
		c.at++
	}
	c.left--
	c.value += c.steps[c.at-1].by
	return c.value
}

// MarshalJSON writes the steps.
func (c column) MarshalJSON() ([]byte, error) {
	out := make([]byte, 1, 2+8*len(c.steps))
	out[0] = '['
	for i, s := range c.steps {
		if i > 0 {
			out = append(out, ',')
		}
		if s.times == 1 {
			out = strconv.AppendInt(out, s.by, 10)
			continue
		}
		out = strconv.AppendInt(append(out, '['), s.by, 10)
		out = append(strconv.AppendInt(append(out, ','), s.times, 10), ']')
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads the steps. The decoder has made sure that b is JSON.
func (c *column) UnmarshalJSON(b []byte) error {
	c.steps = c.steps[:0]
	depth, numbers := 0, [2]int64{}
	count := 0
	for i := 0; i < len(b); {
		switch ch := b[i]; {
		case ch == '[':
			depth++
			count = 0
			i++
		case ch == ']':
			depth--
			if depth == 1 {
				if count != 2 || numbers[1] < 1 {
					return errDamaged
				}
				c.steps = append(c.steps, step{numbers[0], numbers[1]})
			}
			i++
		case ch == '-' || ch >= '0' && ch <= '9':
			end := i + 1
			for end < len(b) && b[end] >= '0' && b[end] <= '9' {
				end++
			}
			n, err := strconv.ParseInt(string(b[i:end]), 10, 64)
			if err != nil || depth < 1 || depth > 2 || depth == 2 && count == 2 {
				return errDamaged
			}
			i = end
			if depth == 1 {
				c.steps = append(c.steps, step{n, 1})
				continue
			}
			numbers[count] = n
			count++
		case ch == ',' || ch == ' ' || ch == '\n' || ch == '\t' || ch == '\r':
			i++
		default:
			return errDamaged
		}
	}
	return nil
}

var errDamaged = errors.New("a packed column is damaged")

// decodeErr notes that packed data does not fit together.
type decodeErr struct{ found bool }

func (d *decodeErr) err() error {
	if d.found {
		return errDamaged
	}
	return nil
}

// text is the text with a number; 0 is the empty one.
func (d *decodeErr) text(list []string, n int64) string {
	if n == 0 {
		return ""
	}
	if !within(n-1, len(list)) {
		d.found = true
		return ""
	}
	return list[n-1]
}

// stringTable numbers distinct texts from 1; the empty one is 0.
type stringTable struct {
	list []string
	at   map[string]int64
}

func (t *stringTable) number(s string) int64 {
	if s == "" {
		return 0
	}
	if n, ok := t.at[s]; ok {
		return n
	}
	if t.at == nil {
		t.at = map[string]int64{}
	}
	t.list = append(t.list, s)
	t.at[s] = int64(len(t.list))
	return t.at[s]
}
