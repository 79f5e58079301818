package main

import (
	"context"

	"github.com/spf13/cobra"

	"volley/internal/audit"
	"volley/internal/config"
	"volley/internal/index"
	"volley/internal/person"
	"volley/internal/suppression"
)

func (a *app) suppressCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suppress",
		Short: "See to who wants no messages",
		Long: `Sees to the suppression list: messages to whom is on it are rejected with the code
suppressed, when a batch is accepted and again right before each request. It lies in
the index (index.url in the configuration). A list is a tenant's own (--tenant);
--everybody is that of all tenants.`,
		Example: "  volley suppress add +4915123456789 --reason 'asked on the phone'",
		Args:    needs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.suppressAddCommand(), a.suppressRemoveCommand(), a.suppressImportCommand(), a.suppressListCommand(), a.suppressCheckCommand())
	return cmd
}

// suppressFlags say what is noted of recipients.
type suppressFlags struct {
	reason, source, until string
	everybody             bool
}

func (f *suppressFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.reason, "reason", "", "why, for people")
	fl.StringVar(&f.source, "source", "", "where that is known from, such as a form or a provider")
	fl.StringVar(&f.until, "until", "", "when it ends, `T`: a duration from now such as 90d, or an RFC 3339 time (default never)")
	everybodyFlag(cmd, &f.everybody)
}

func everybodyFlag(cmd *cobra.Command, everybody *bool) {
	cmd.Flags().BoolVar(everybody, "everybody", false, "the list of all tenants instead of the one of --tenant")
}

// listOf is the tenant whose list is meant; empty is everybody's.
func (a *app) listOf(everybody bool) string {
	if everybody {
		return ""
	}
	return a.tenant
}

// defaults are what is noted of each recipient.
func (a *app) defaults(f suppressFlags) (s index.Suppression, err error) {
	s = index.Suppression{Tenant: a.listOf(f.everybody), Reason: f.reason, Source: f.source, By: a.actor()}
	if f.until != "" {
		s.Until, err = parseTime("until", f.until, a.now())
		if err == nil && !s.Until.After(a.now()) {
			err = usage("--until %q is over already", f.until)
		}
	}
	return s, err
}

// recipients are arguments in their normal form.
func recipients(args []string, region string) ([]string, error) {
	all := make([]string, len(args))
	for i, arg := range args {
		var err error
		if all[i], err = suppression.Recipient(arg, region); err != nil {
			return nil, usage("recipient %d: %s", i+1, err)
		}
	}
	return all, nil
}

// some demands at least one argument.
func some(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("%s is missing: %s", name, cmd.UseLine())
		}
		return nil
	}
}

func (a *app) suppressAddCommand() *cobra.Command {
	var f suppressFlags
	cmd := &cobra.Command{
		Use:   "add RECIPIENT...",
		Short: "Put recipients on the suppression list",
		Long: `Puts recipients on the suppression list and cancels what waits for them in all batches
that the index knows. It returns when the list is in force in every worker, which takes
two seconds: from then on no request leaves for them. Requests that have left are
followed to their ends, and messages in doubt end as their providers say.`,
		Example:           "  volley suppress add +4915123456789 ann@example.com --reason unsubscribed --until 365d",
		Args:              some("RECIPIENT"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			each, err := a.defaults(f)
			if err != nil {
				return err
			}
			return a.withPerson(cmd.Context(), func(k *person.Records, region string) error {
				list, err := recipients(args, region)
				if err != nil {
					return err
				}
				all := make([]index.Suppression, len(list))
				for i := range all {
					all[i] = each
					all[i].Recipient = list[i]
				}
				return a.suppress(cmd.Context(), k, all)
			})
		},
	}
	f.add(cmd)
	return cmd
}

// suppress adds to the list and shows what came of it.
func (a *app) suppress(ctx context.Context, k *person.Records, all []index.Suppression) error {
	done, err := k.Suppress(ctx, all)
	noteCounts(ctx, map[string]int{"recipients": len(all), "added": done.Added})
	if c := done.Canceled; c != nil {
		noteCounts(ctx, map[string]int{"unreached": c.Unreached}) // the canceled are noted
	}
	if err != nil {
		return err
	}
	if a.json() {
		return a.print(done)
	}
	a.printf("%s, %s new on the suppression list\n", plural(len(all), "recipient"), number(done.Added))
	a.showCanceled(done.Canceled)
	return nil
}

func (a *app) showCanceled(c *person.Canceled) {
	if c == nil {
		a.printf("what waits for them is rejected when its turn comes\n")
		return
	}
	if c.Batches > 0 {
		a.printf("%s canceled in %s, %s had left\n", plural(c.Messages, "message"), plural(c.Batches, "batch"), number(c.InFlight))
	}
	if c.Unreached > 0 {
		a.note("%s did not answer: what waits there is rejected when its turn comes", plural(c.Unreached, "batch"))
	}
}

// noteCounts adds numbers to the line of the audit log.
func noteCounts(ctx context.Context, counts map[string]int) {
	audit.Of(ctx).Set(func(e *audit.Entry) { e.AddCounts(counts) })
}

func (a *app) suppressRemoveCommand() *cobra.Command {
	var everybody bool
	cmd := &cobra.Command{
		Use:   "remove RECIPIENT|KEY...",
		Short: "Take recipients off the suppression list",
		Long: `Takes recipients off the suppression list of a tenant. Who was forgotten is named by
the key that suppress list shows. What was rejected or canceled stays so.`,
		Example:           "  volley suppress remove +4915123456789",
		Args:              some("RECIPIENT"),
		ValidArgsFunction: noFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withListed(cmd.Context(), args, func(x *index.Index, list []string) error {
				n, err := x.Unsuppress(cmd.Context(), a.listOf(everybody), list)
				noteCounts(cmd.Context(), map[string]int{"recipients": len(list), "removed": n})
				if err != nil {
					return err
				}
				if a.json() {
					return a.print(map[string]int{"removed": n})
				}
				a.printf("%s removed\n", number(n))
				return nil
			})
		},
	}
	everybodyFlag(cmd, &everybody)
	return cmd
}

// withListed opens the index for a command about recipients, which are read as the tenant
// writes them.
func (a *app) withListed(ctx context.Context, args []string, do func(x *index.Index, list []string) error) error {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	list, err := recipients(args, c.Caller(a.tenant).Region)
	if err != nil {
		return err
	}
	return a.withIndex(ctx, func(x *index.Index) error { return do(x, list) })
}

func (a *app) suppressImportCommand() *cobra.Command {
	var f suppressFlags
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Put a file of recipients on the suppression list",
		Long: `Puts a file of recipients on the suppression list: one a line, or CSV whose first row
names the columns recipient, reason and until. It adds; nobody is taken off. After a
line with a mistake nothing is added. A thousand recipients or fewer are treated as by
suppress add; what waits for more is rejected when its turn comes.`,
		Example: "  volley suppress import --source newsletter examples/volley.csv",
		Args:    needs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			each, err := a.defaults(f)
			if err != nil {
				return err
			}
			return a.withPerson(cmd.Context(), func(k *person.Records, region string) error {
				in, err := a.file(args[0])
				if err != nil {
					return err
				}
				defer in.close()
				var all []index.Suppression
				for s, err := range suppression.Read(in, each, region) {
					if err != nil {
						return usage("%s: %s", args[0], err)
					}
					all = append(all, s)
				}
				return a.suppress(cmd.Context(), k, all)
			})
		},
	}
	f.add(cmd)
	return cmd
}
