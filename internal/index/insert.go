package index

import (
	"fmt"
	"strings"
)

// rowsAtOnce is how many rows a statement of SQLite writes. Its driver looks through all
// parameters for each of them, so that many cost more than several statements.
const rowsAtOnce = 8

// insert writes n rows.
func (t *tx) insert(into string, columns int, behind string, n int, row func(int) []any) error {
	switch {
	case n == 0:
		return nil
	case t.postgres:
		return t.insertColumns(into, columns, behind, n, row)
	case behind == "": // a failure undoes the transaction, so no statement need be undone by itself
		into = strings.Replace(into, "INSERT INTO", "INSERT OR FAIL INTO", 1)
	}
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + ")"
	for from := 0; from < n; from += rowsAtOnce {
		to := min(n, from+rowsAtOnce)
		args := make([]any, 0, (to-from)*columns)
		for i := from; i < to; i++ {
			args = append(args, row(i)...)
		}
		if err := t.again(into+"VALUES "+strings.TrimSuffix(strings.Repeat(one+", ", to-from), ", ")+behind, args); err != nil {
			return err
		}
	}
	return nil
}

// insertColumns writes n rows in one statement of PostgreSQL's, with an array for each column.
func (t *tx) insertColumns(into string, columns int, behind string, n int, row func(int) []any) error {
	numbers, texts, bytes := make([][]*int64, columns), make([][]string, columns), make([][][]byte, columns)
	for i := range n {
		for c, v := range row(i) {
			switch v := v.(type) {
			case string:
				texts[c] = append(texts[c], v)
			case []byte:
				bytes[c] = append(bytes[c], v)
			case int:
				n := int64(v)
				numbers[c] = append(numbers[c], &n)
			case int64:
				numbers[c] = append(numbers[c], &v)
			case nil:
				numbers[c] = append(numbers[c], nil)
			default:
				return fmt.Errorf("%w: a value of type %T", errFault, v)
			}
		}
	}
	args, from := make([]any, columns), make([]string, columns)
	for c := range columns {
		switch {
		case texts[c] != nil:
			args[c], from[c] = texts[c], "?::text[]"
		case bytes[c] != nil:
			args[c], from[c] = bytes[c], "?::bytea[]"
		default:
			args[c], from[c] = numbers[c], "?::bigint[]"
		}
	}
	return t.again(into+"SELECT * FROM unnest("+strings.Join(from, ", ")+")"+behind, args)
}
