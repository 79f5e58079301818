package console

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"time"

	"volley/internal/audit"
	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
	"volley/starter"
)

// newData is the form of a new batch.
type newData struct {
	Accounts []string
	Tenants  []string
	// Key makes a repeated start the same one.
	Key  string
	Zone string
}

// newPage shows the form of a new batch. The file stays in the browser, which sends it
// along with each step, so that nothing of it is kept here.
func (c *Console) newPage(v *visit) (*view, error) {
	d := newData{Key: randomWord(), Zone: v.now.Location().String()}
	for _, a := range c.o.Accounts {
		d.Accounts = append(d.Accounts, a.Name)
	}
	for _, t := range c.o.Callers {
		if v.person.Sees(t.Tenant) {
			d.Tenants = append(d.Tenants, t.Tenant)
		}
	}
	return &view{Page: "new", Title: "New batch", Data: d}, nil
}

// upload is what a person wants to send: a file, and how it is to be read.
type upload struct {
	fields url.Values
	caller intake.Caller
	name   string
	// request is the file, opened.
	request *intake.Request
	options intake.Options
	// columns are those of a CSV file's first row.
	columns []string
	at      time.Time
}

// maxFields bounds what a form says beside its file, in bytes.
const maxFields = 256 << 10

// readUpload reads a form up to its file, and opens that.
func (c *Console) readUpload(v *visit) (*upload, error) {
	parts, err := v.MultipartReader()
	if err != nil {
		return nil, &wrongError{"the form has no file"}
	}
	u := &upload{fields: url.Values{}}
	left := int64(maxFields)
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, &wrongError{"choose a file first"}
		}
		if err != nil {
			return nil, &wrongError{"the form cannot be read"}
		}
		if p.FormName() == "file" {
			if p.FileName() == "" {
				return nil, &wrongError{"choose a file first"}
			}
			return u, c.openUpload(v, u, p)
		}
		text, err := io.ReadAll(io.LimitReader(p, left+1))
		if left -= int64(len(text)); err != nil || left < 0 {
			return nil, &wrongError{"the form is too large"}
		}
		u.fields.Add(p.FormName(), string(text))
	}
}

func (u *upload) get(name string) string { return strings.TrimSpace(u.fields.Get(name)) }

// openUpload opens the file as the form says that it is to be read.
func (c *Console) openUpload(v *visit, u *upload, p *multipart.Part) (err error) {
	tenant := u.get("tenant")
	if tenant == "" {
		tenant = c.o.Callers[0].Tenant
	}
	if !v.person.Sees(tenant) || !slices.ContainsFunc(c.o.Callers, func(t intake.Caller) bool { return t.Tenant == tenant }) {
		return &wrongError{"there is no such tenant"}
	}
	u.caller, u.name = c.caller(tenant), p.FileName()
	if u.at, err = timeIn(u.fields); err != nil {
		return err
	}
	head := make([]byte, headBytes)
	n, err := io.ReadFull(p, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return &wrongError{"the file cannot be read to its end"}
	}
	head = head[:n]
	if err := u.readOptions(); err != nil {
		return err
	}
	if u.options.Dialect, err = dialect.Named("volley"); err != nil {
		return err
	}
	if isCSV(u.name) {
		u.columns = columnsOf(head)
		u.mapColumns()
	} else { // the file says these itself, or has no place for them
		u.options.Text, u.options.Channel, u.options.DefaultRegion, u.options.Metadata, u.options.Columns = "", "", "", nil, dialect.Columns{}
	}
	u.options.Now, u.options.Suppressed = c.o.Now(), c.o.Suppressed
	if u.request, err = intake.Open(io.MultiReader(bytes.NewReader(head), p), u.caller, c.o.Limits, u.options); err != nil {
		return &wrongError{"the file cannot be read: " + err.Error()}
	}
	return nil
}

// headBytes of a file are looked at for its columns.
const headBytes = 64 << 10

func isCSV(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".csv") }

// readOptions reads what the form says beside the columns.
func (u *upload) readOptions() error {
	o := &u.options
	o.Account, o.Text, o.Channel, o.DefaultRegion, o.SendAfter = u.get("account"), u.fields.Get("text"), u.get("channel"), strings.ToUpper(u.get("region")), u.at
	if text := u.get("ttl"); text != "" {
		d, err := message.ParseDuration(text)
		if err != nil || d <= 0 {
			return &wrongError{"valid for has to be a duration such as 12h or 3d"}
		}
		o.TTL = d
	}
	if name := u.get("campaign"); name != "" {
		raw, err := message.EncodeJSON(map[string]string{u.get("campaign-key"): name})
		if err != nil {
			return err
		}
		o.Metadata = raw
	}
	switch u.get("unique") {
	case "drop":
		o.Unique = intake.Unique{By: "to", Drop: true}
	case "drop-text":
		o.Unique = intake.Unique{By: "to+text", Drop: true}
	}
	o.Columns.IgnoreRest = u.get("ignore") != ""
	return nil
}

// mapColumns gives columns the names that the form chose for them.
func (u *upload) mapColumns() {
	for _, name := range dialect.CSVFields() {
		if column := u.get("column-" + name); column != "" && column != name {
			u.options.Columns.Map = append(u.options.Columns.Map, dialect.ColumnName{Name: name, Column: column})
		}
	}
}

// checkFile says what is in a file: its columns, its problems, and how messages look.
func (c *Console) checkFile(v *visit) (*view, error) {
	u, err := c.readUpload(v)
	if err != nil {
		return nil, err
	}
	check, err := c.check(u)
	if err != nil {
		return nil, err
	}
	return &view{Page: "checked", Title: "Checked", Data: c.checkedOf(u, check)}, nil
}

// testFile sends a few messages of a file to one address.
func (c *Console) testFile(v *visit) (*view, error) {
	v.begins(audit.ActionStart)
	u, err := c.readUpload(v)
	if err != nil {
		return nil, err
	}
	if u.get("test-to") == "" {
		return nil, &wrongError{"the test needs an address to go to"}
	}
	check, err := c.check(u)
	if err != nil {
		return nil, err
	}
	if check.Refusal != nil {
		return nil, &wrongError{check.Refusal.Error()}
	}
	b, err := check.TestBatch(u.get("test-to"))
	if err != nil {
		return nil, &wrongError{err.Error()}
	}
	b.StartedBy = v.person.Name
	s, err := c.changes.Start(v.Context(), starter.Request{Ref: starter.Ref{Tenant: u.caller.Tenant}, Batch: b, Body: []byte(randomWord())})
	if err != nil {
		return nil, err
	}
	return done("The test is on its way", batchPath(u.caller.Tenant, s.ID), "See what became of it", message.Plural(s.Total, "message")+" went to the address."), nil
}

// startFile starts the batch.
func (c *Console) startFile(v *visit) (*view, error) {
	v.begins(audit.ActionStart)
	u, err := c.readUpload(v)
	if err != nil {
		return nil, err
	}
	audit.Of(v.Context()).Set(func(e *audit.Entry) { e.Tenant = u.caller.Tenant })
	s, err := c.start(v, u)
	if err != nil {
		return nil, err
	}
	return &view{Page: "started", Title: "Started", Data: batchPath(u.caller.Tenant, s.ID)}, nil
}
