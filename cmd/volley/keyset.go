package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"volley/internal/audit"
	"volley/internal/config"
	"volley/internal/encryption"
	"volley/internal/keywatch"
)

func (a *app) keysetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keyset",
		Short: "Make and rotate the keys that encrypt batches",
		Long: `Makes and rotates the keyset that encrypts what Temporal and the store keep. It is the
one of encryption.keyset in the configuration: a file is changed in place, and of one
from the environment the new text is printed, for whoever keeps it there.

A rotation is add, promote and retire, each of them once every worker, every gateway
and whoever starts batches runs with what the step before it made.`,
		Example: "  volley keyset add",
		Args:    needs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keysetListCommand(), a.keysetAddCommand(), a.keysetPromoteCommand(), a.keysetRetireCommand())
	return cmd
}

// keysetSource is where the configuration has its keyset.
type keysetSource struct {
	// file is its path; empty is that it comes from the environment or the configuration
	// itself, or that there is none.
	file string
	// unset means that there is none.
	unset bool
	text  string
}

func (a *app) keysetSource() (keysetSource, error) {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return keysetSource{}, err
	}
	s := keysetSource{text: c.Keyset.Reveal()}
	s.unset = s.text == ""
	if s.file, err = encryption.FileOf(s.text); err != nil {
		return s, &exitError{code: exitUsage, err: fmt.Errorf("encryption.keyset: %w", err)}
	}
	return s, nil
}

// load reads the keyset, which has to be there.
func (s keysetSource) load() (*encryption.Keyset, error) {
	if s.unset {
		return nil, usage("there is no keyset: encryption.keyset is not in the configuration, or its variable is not set; `volley keyset add` makes one")
	}
	k, err := encryption.Load(s.text)
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("encryption.keyset: %w", err)}
	}
	return k, nil
}

// change changes the keyset where it is a file. printed is the new one where it is none.
func (s keysetSource) change(change func(*encryption.Keyset) (*encryption.Keyset, error)) (printed string, err error) {
	if s.file != "" {
		return "", encryption.Change(s.file, change)
	}
	var k *encryption.Keyset
	if !s.unset {
		if k, err = s.load(); err != nil {
			return "", err
		}
	}
	if k, err = change(k); err != nil {
		return "", err
	}
	text, err := k.JSON()
	return string(text), err
}

// keysetDocument is what the commands that change a keyset print with -o json.
type keysetDocument struct {
	Key uint32 `json:"key"`
	// File is where the keyset is; Keyset is its text where it is in no file, a secret.
	File   string `json:"file,omitempty"`
	Keyset string `json:"keyset,omitempty"`
}

// showKeyset prints what became of a keyset, and what to do next.
func (a *app) showKeyset(s keysetSource, key uint32, printed, done, next string) error {
	a.record.Set(func(e *audit.Entry) { e.Key = key })
	if a.json() {
		return a.print(keysetDocument{Key: key, File: s.file, Keyset: printed})
	}
	if s.file != "" {
		a.printf("%s in %s\n%s\n", done, s.file, next)
		return nil
	}
	a.note("%s; the new keyset is on stdout, and a secret: put it where the old one is", done)
	a.note("%s", next)
	a.printf("%s\n", printed)
	return nil
}

func (a *app) keysetAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add",
		Short: "Add a key, which opens and does not seal yet",
		Long: `Adds a new key to the keyset. It opens what it sealed, and seals nothing before
promote. Where there is no keyset it makes one, with a key that seals.`,
		Example:           "  volley keyset add",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.keysetSource()
			if err != nil {
				return err
			}
			var id uint32
			first := false
			printed, err := s.change(func(k *encryption.Keyset) (n *encryption.Keyset, err error) {
				if first = k.IsOff(); !first {
					n, id, err = k.WithNewKey()
					return n, err
				}
				if n, err = encryption.New(); err == nil {
					id = n.Primary()
				}
				return n, err
			})
			switch {
			case err != nil:
				return err
			case first:
				return a.showKeyset(s, id, printed, fmt.Sprintf("made a keyset with key %d", id),
					"next: keep a copy where the store's backup is not, since without it the batches cannot be read; then run everything with it as encryption.keyset")
			}
			return a.showKeyset(s, id, printed, fmt.Sprintf("added key %d, which seals nothing yet,", id),
				fmt.Sprintf("%s; then volley keyset promote %d", nextKeyset(s), id))
		},
	}
}

func (a *app) keysetPromoteCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "promote KEY",
		Short: "Let a key seal from now on",
		Long: `Makes a key the one that seals, once every worker and every gateway has it: each of
them says so in Temporal, and which of them lacks it is an error. One that was killed
counts for five minutes more. Whoever starts batches must have the key as well, which
nobody can know: a process without it can open nothing of what is sealed from now on,
and waits until it has it. What other keys sealed can still be opened.

With --force it looks at nothing.`,
		Example:           "  volley keyset promote 1931667682",
		Args:              needs("KEY"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			look := a.everywhere
			if force {
				look = nil
			}
			s, id, printed, err := a.changeKey(cmd.Context(), args[0], (*encryption.Keyset).Promote, look)
			if err != nil {
				return err
			}
			return a.showKeyset(s, id, printed, fmt.Sprintf("key %d seals", id),
				nextKeyset(s)+"; when the batches of before are gone, volley keyset retire takes an old key away")
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "do not look which processes have the key: those without it stand still")
	return cmd
}

// nextKeyset says how a changed keyset comes to the processes.
func nextKeyset(s keysetSource) string {
	if s.file != "" {
		return "next: give the file to every machine; workers and gateways read it again within a minute"
	}
	return "next: start every worker, gateway and command with this keyset"
}

// everywhere is an error where a worker or a gateway lacks a key that is to seal.
func (a *app) everywhere(ctx context.Context, id uint32) error {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	all, err := a.keyReports(ctx, a, c)
	if err != nil {
		return fmt.Errorf("key %d is not promoted, as nobody knows which processes have it (--force promotes it all the same): %w", id, err)
	}
	if lacking := keywatch.Lacking(all, id); len(lacking) > 0 {
		return fmt.Errorf("key %d is not promoted (--force does it all the same): %s", id, strings.Join(lacking, "; "))
	}
	return nil
}

// changeKey changes what one key of the keyset is for. Before that look may refuse it, where it
// is not nil. printed is the new keyset where it is in no file.
func (a *app) changeKey(
	ctx context.Context, key string, change func(*encryption.Keyset, uint32) (*encryption.Keyset, error), look func(context.Context, uint32) error,
) (s keysetSource, id uint32, printed string, err error) {
	if id, s, err = a.keyOf(key); err != nil {
		return s, id, "", err
	}
	changed := func(k *encryption.Keyset) (*encryption.Keyset, error) {
		if k.IsOff() {
			return nil, usage("the keyset is gone meanwhile")
		}
		n, err := change(k, id)
		if err != nil {
			return nil, &exitError{code: exitUsage, err: err}
		}
		return n, nil
	}
	k, err := s.load()
	if err != nil {
		return s, id, "", err
	}
	if _, err = changed(k); err != nil {
		return s, id, "", err // before anything is asked
	}
	if look != nil {
		if err = look(ctx, id); err != nil {
			return s, id, "", err
		}
	}
	printed, err = s.change(changed)
	return s, id, printed, err
}

// keyOf reads the id of a key.
func (a *app) keyOf(text string) (uint32, keysetSource, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, keysetSource{}, usage("%q is no key's id: expected a number that volley keyset list shows", text)
	}
	s, err := a.keysetSource()
	return uint32(id), s, err
}
