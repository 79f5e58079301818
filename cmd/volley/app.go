package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"volley/internal/audit"
	"volley/internal/config"
	"volley/internal/doctor"
	"volley/internal/indexer"
	"volley/internal/keywatch"
	"volley/internal/message"
	"volley/starter"
)

// reads is what the commands read of starter.Starter, and what they make of a server.
type reads interface {
	Status(ctx context.Context, ref starter.Ref) (message.Status, error)
	Messages(ctx context.Context, ref starter.Ref, q message.PageQuery) (message.Page, error)
	Message(ctx context.Context, ref starter.Ref, idOrIndex string) (message.Row, error)
	Results(ctx context.Context, ref starter.Ref, q starter.ResultQuery) iter.Seq2[message.Row, error]
	List(ctx context.Context, q starter.ListQuery) (starter.Batches, error)
	Wait(ctx context.Context, ref starter.Ref) (message.Status, error)
	Histories(ctx context.Context, ref starter.Ref) (starter.Histories, error)
	Accounts(ctx context.Context, q starter.AccountsQuery) (starter.AccountList, error)
	Unserved(ctx context.Context, accounts []string) []string
	Missing(ctx context.Context) ([]string, error)
	Setup(ctx context.Context) ([]string, error)
	SetupStore(ctx context.Context, force bool) (made bool, err error)
	indexer.Batches
}

// batches is what the commands need of starter.Starter.
type batches interface {
	reads
	audit.Changes
	audit.Upkeep
}

// opener connects to Temporal; the second result closes the connection.
type opener func(ctx context.Context, a *app, c *config.Config) (batches, func(), error)

// app is one run of the program: where it reads and writes, and what its global
// flags say.
type app struct {
	env            environment
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	// every is how often watching asks.
	every time.Duration
	open  opener
	// keyUses reads what the keys of the keyset sealed; it may end once it knows of a use of
	// first, where that is not 0.
	keyUses func(ctx context.Context, a *app, c *config.Config, first uint32) (keyUses, error)
	// keyReports reads what the workers and gateways say of their keys.
	keyReports func(ctx context.Context, a *app, c *config.Config) ([]keywatch.Report, error)
	// diagnose looks at everything around; its flags are those of the command.
	diagnose func(ctx context.Context, a *app, offline bool, gateway string) (doctor.Report, error)
	// terminal reports whether a writer is one.
	terminal func(io.Writer) bool
	// columns is how wide stdout is; 0 is what the terminal says.
	columns int
	// local is the system's zone, and zone the one that a person chose; nil is none.
	local, zone *time.Location
	// limitMemory keeps memory small while a request of any size is read.
	limitMemory func()

	configFile, output, logLevel, logFormat, tenant, tz string

	// batch is the id of the one that the command is about, as far as that was read.
	batch string
	// record is that of a command that changes something; nil is another one.
	record *audit.Record
}

// run is the program without its process. args come without the program's name,
// env as from os.Environ. It returns the exit code.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{
		env: env, stdin: stdin, stdout: stdout, stderr: stderr,
		now: time.Now, every: time.Second, open: connect, keyUses: readKeyUses, keyReports: readKeyReports, diagnose: diagnose, terminal: isTerminal, local: time.Local, limitMemory: limitMemory,
	}
	return a.run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("internal error: %v", r)
			a.writeAudit(err)
			a.failed(err, args)
			code = exitFailed
		}
	}()
	a.stdout = &noted{Writer: a.stdout}
	// What is seen from now is shown in the zone of now.
	clock := a.now
	a.now = func() time.Time { return clock().In(a.shown()) }
	a.open = watched(a.open)
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // nil would mean the process's own
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	a.writeAudit(err)
	a.failed(err, args)
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "volley",
		Short: "Send batches of messages and keep track of every one",
		Long: `volley starts batches of messages as durable Temporal workflows, follows and
controls them, and runs the workers that send them.

Temporal's address comes from TEMPORAL_ADDRESS (default localhost:7233) and the
other standard TEMPORAL_ variables, or from temporal.toml.

Exit codes: 0 done, 1 could not do it, 2 wrong usage or invalid input, 3 the batch
ended with a message that is neither sent nor delivered, 4 no such batch or
message, 5 the id is taken by a batch with other content, or the same went out and
--if-same refuses it.`,
		Example: `  volley validate --dialect volley --render examples/volley.json
  volley start --dialect volley --id reminders --watch examples/volley.json`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: a.begin,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
				return usage("unknown command %q, did you mean %s?", args[0], strings.Join(s, " or "))
			}
			return usage("unknown command %q, `volley help` lists them", args[0])
		},
		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(flagError)
	a.wrapFlags(root)
	f := root.PersistentFlags()
	f.StringVar(&a.configFile, "config", "", "configuration `file` (default $VOLLEY_CONFIG, or ./volley.yaml if it exists)")
	f.StringVarP(&a.output, "output", "o", "text", "text or json")
	f.StringVar(&a.logLevel, "log-level", "", "debug, info, warn or error (default info for worker and gateway, else warn)")
	f.StringVar(&a.logFormat, "log-format", "console", "console or json")
	f.StringVar(&a.tenant, "tenant", starter.DefaultTenant, "whose batches")
	f.StringVar(&a.tz, "tz", "", "the `zone` of --at and of the times that are shown, as Europe/Berlin (default: that of TZ\nor of the system on a terminal, else UTC)")
	offer(root, "output", "text", "json")
	offer(root, "log-level", "debug", "info", "warn", "error")
	offer(root, "log-format", "console", "json")
	group(root, "Start batches:", a.startCommand(), a.validateCommand(), a.redriveCommand())
	group(root, "Follow batches:", a.listCommand(), a.statusCommand(), a.watchCommand(), a.messagesCommand(), a.messageCommand(), a.resultsCommand(), a.findCommand(), a.statsCommand(), a.stuckCommand())
	group(root, "Control batches:", a.cancelCommand(), a.pauseCommand(), a.resumeCommand(), a.rescheduleCommand(), a.holdCommand(), a.releaseCommand(), a.accountsCommand(), a.deleteCommand())
	group(root, "See to people:", a.suppressCommand(), a.forgetCommand(), a.exportCommand())
	group(root, "Run volley:", a.workerCommand(), a.gatewayCommand(), a.codecCommand(), a.setupCommand(), a.doctorCommand(), a.purgeCommand(), a.auditCommand(), a.indexCommand(), a.keysetCommand(), a.chaosCommand(), a.versionCommand())
	return root
}

// group adds commands that help shows together.
func group(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range commands {
		c.GroupID = title
	}
	root.AddCommand(commands...)
}

// begin checks the flags of every command.
func (a *app) begin(cmd *cobra.Command, args []string) error {
	if strings.Contains(cmd.Use, " ID") && len(args) > 0 {
		a.batch = args[0]
	}
	if err := a.checkFlags(); err != nil {
		return err
	}
	a.beginAudit(cmd)
	return nil
}

func (a *app) checkFlags() error {
	if a.output != "text" && a.output != "json" {
		return usage("--output %q, expected text or json", a.output)
	}
	if a.logFormat != "console" && a.logFormat != "json" {
		return usage("--log-format %q, expected console or json", a.logFormat)
	}
	if _, err := a.logger("warn"); err != nil {
		return err
	}
	if err := a.readTZ(); err != nil {
		return err
	}
	if !starter.ValidID(a.tenant) {
		return usage("--tenant %q, expected %s", a.tenant, message.NameRule)
	}
	return nil
}

func (a *app) json() bool { return a.output == "json" }

func (a *app) ref(id string) starter.Ref { return starter.Ref{Tenant: a.tenant, ID: id} }

// on connects and runs what a command does with batches.
func (a *app) on(ctx context.Context, do func(b batches) error) error {
	c, _, err := a.config(config.LoadWithoutSecrets)
	if err != nil {
		return err
	}
	b, done, err := a.open(ctx, a, c)
	if err != nil {
		return err
	}
	defer done()
	return do(b)
}

// needs demands exactly the arguments with these names.
func needs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("%s is missing: %s", names[len(args)], cmd.UseLine())
		case len(args) > len(names):
			return usage("unexpected argument %q: %s", args[len(names)], cmd.UseLine())
		}
		return nil
	}
}

// logger writes to stderr; level is what holds unless --log-level is given.
func (a *app) logger(level string) (*zap.Logger, error) {
	if a.logLevel != "" {
		level = a.logLevel
	}
	return newLogger(a.stderr, level, a.logFormat)
}
