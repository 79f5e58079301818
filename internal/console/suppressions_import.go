package console

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"volley/internal/audit"
	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/suppression"
)

// maxList bounds a file of recipients, in bytes. The form that asks carries it along.
const maxList = 1 << 20

// importSuppressions asks about a file of recipients, and once that was answered puts them
// on the list.
func (c *Console) importSuppressions(v *visit, persons Persons) (*view, error) {
	name, tenant, err := c.list(v, v.PostForm.Get("list"))
	if err != nil {
		return nil, err
	}
	text, confirmed := v.PostForm.Get("recipients"), v.PostForm.Has("recipients")
	if !confirmed {
		if text, err = fileOf(v); err != nil {
			return c.showSuppressions(v, v.PostForm, sentence(err))
		}
	}
	each := index.Suppression{Tenant: tenant, Reason: strings.TrimSpace(v.PostForm.Get("reason")), Source: "import", By: v.person.Name}
	var all []index.Suppression
	for s, err := range suppression.Read(strings.NewReader(text), each, c.caller(tenant).Region) {
		if err != nil {
			return c.showSuppressions(v, v.PostForm, sentence(fmt.Errorf("nobody was added: %w", err)))
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return c.showSuppressions(v, v.PostForm, "The file names nobody.")
	}
	if confirmed {
		v.begins(audit.ActionSuppressImport)
		noteList(v, tenant)
		res, err := persons.Suppress(v.Context(), all)
		return c.suppressed(v, name, len(all), res, err)
	}
	recipients := make([]string, len(all))
	for i := range all {
		recipients[i] = all[i].Recipient
	}
	ask := question{
		Title: "Import into the suppression list", Post: "/suppressions/import", Yes: "Add " + message.Plural(len(all), "recipient"), Danger: true, Back: "/suppressions?list=" + queryEscape(name),
		Hidden: []pair{{"list", name}, {"reason", each.Reason}, {"recipients", text}},
		Asks:   "Never write to " + message.Plural(len(all), "recipient") + " again? " + c.waitingText(v, tenant, recipients),
		Notes:  []string{"It adds; nobody is taken off the list."},
	}
	return questionPage(ask), nil
}

// fileOf is the text of the file that a form came with.
func fileOf(v *visit) (string, error) {
	f, _, err := v.FormFile("file")
	if err != nil {
		return "", &wrongError{"choose a file: one recipient a line, or CSV whose first row names the columns recipient, reason and until"}
	}
	defer func() { _ = f.Close() }() // it was only read
	var text bytes.Buffer
	if n, err := io.Copy(&text, io.LimitReader(f, maxList+1)); err != nil || n > maxList {
		return "", &wrongError{"the file is larger than 1 MB, which volley suppress import takes"}
	}
	return text.String(), nil
}
