package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"volley/internal/intake"
	"volley/internal/message"
)

// selection is what the flags say of how the columns of a file are read, and of who
// gets no message.
type selection struct {
	toColumn              string
	maps, ignored, skipIf []string
	unique                string
	// exclude lists files of recipients. excludeColumn names the columns that may hold
	// them; in each file the first one that exists counts.
	exclude, excludeColumn []string
}

func (s *selection) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.toColumn, "to-column", "", "the `column` of a CSV file that has the recipients (default to)")
	f.StringArrayVar(&s.maps, "map", nil, "`name=column` makes a column of a CSV file a field (to, to_phone, to_email, …, reference, send_after, ttl, channel)\nor the placeholder ${name}, as often as needed")
	f.StringArrayVar(&s.ignored, "ignore-columns", nil, "`columns` of a CSV file that are not read, with commas between them; all: those that nothing uses")
	f.StringArrayVar(&s.skipIf, "skip-if", nil, "`column=value` leaves out the rows of a CSV file with that value, as often as needed")
	f.StringVar(&s.unique, "unique", "", "`what` no two messages may share: to or to+text; with =drop behind it later ones are left out")
	f.StringArrayVar(&s.exclude, "exclude", nil, "`file` of recipients that are left out: one a line, or CSV with a column to")
	f.StringArrayVar(&s.excludeColumn, "exclude-column", nil, "the `column` with the recipients in --exclude files of several columns (default to), as often as needed:\nof each file the first that it has")
	offer(cmd, "unique", "to", "to+text", "to=drop", "to+text=drop")
}

// options adds what the flags say.
func (s *selection) options(o *intake.Options) error {
	c := &o.Columns
	c.Refuse = true
	if s.toColumn != "" {
		if err := c.AddMap("to=" + s.toColumn); err != nil {
			return usage("--to-column %w", err)
		}
	}
	for _, m := range s.maps {
		if err := c.AddMap(m); err != nil {
			return usage("--map %w", err)
		}
	}
	for _, list := range s.ignored {
		if err := c.AddIgnore(list); err != nil {
			return usage("--ignore-columns %w", err)
		}
	}
	for _, skip := range s.skipIf {
		if err := c.AddSkipIf(skip); err != nil {
			return usage("--skip-if %w", err)
		}
	}
	if s.unique != "" {
		var err error
		if o.Unique, err = intake.ParseUnique(s.unique); err != nil {
			return usage("--unique %w", err)
		}
	}
	if len(s.excludeColumn) > 0 && len(s.exclude) == 0 {
		return usage("--exclude-column is for --exclude, which is missing")
	}
	for i, name := range s.excludeColumn {
		if s.excludeColumn[i] = strings.TrimSpace(name); s.excludeColumn[i] == "" {
			return usage("--exclude-column %q: expected the name of a column", name)
		}
	}
	return nil
}

// forCSV refuses the flags about columns beside a request that has none.
func (s *selection) forCSV() error {
	for name, given := range map[string]bool{
		"to-column": s.toColumn != "", "map": len(s.maps) > 0, "ignore-columns": len(s.ignored) > 0, "skip-if": len(s.skipIf) > 0,
	} {
		if given {
			return usage("--%s is for CSV files, the request has no columns", name)
		}
	}
	return nil
}

// exclusion reads the files of --exclude; nil is none. file is what the request
// itself is read from, and region where numbers without a country code are written.
func (a *app) exclusion(s *selection, file, region string) (*intake.Exclusion, error) {
	if len(s.exclude) == 0 {
		return nil, nil
	}
	a.limitMemory()
	e := intake.Exclusion{Region: region}
	for _, name := range s.exclude {
		if name == "-" && file == "-" {
			return nil, usage("--exclude -: stdin is the request already")
		}
		f, err := a.file(name)
		if err != nil {
			return nil, usage("--exclude: %w", err)
		}
		err = e.Add(f, s.excludeColumn...)
		f.close()
		var said *exitError
		switch {
		case errors.As(err, &said):
			return nil, usage("--exclude: %w", err)
		case errors.Is(err, intake.ErrEmptyExclusion):
			return nil, usage("--exclude %s: %w, so that nobody would be left out", name, err)
		case err != nil:
			return nil, usage("--exclude %s: %w", name, err)
		}
	}
	return &e, nil
}

// definingFlags are the flags that decide what the request means; of files of recipients
// it is their content.
func (r *request) definingFlags(f *pflag.FlagSet) map[string]string {
	flags := definingFlags(f)
	if r.excluded != nil {
		flags["exclude"] = r.excluded.Sum()
	}
	return flags
}

// warn shows warnings on stderr, whatever the output format.
func (a *app) warn(warnings message.Problems) {
	for _, w := range warnings {
		text := w.Detail
		if strings.HasPrefix(w.Path, "messages[") {
			text = w.Place()
		}
		a.note("warning: %s", printable(text))
	}
}

// listed is a list that is never nil.
func listed(problems message.Problems) message.Problems { return clipped(problems, -1) }
