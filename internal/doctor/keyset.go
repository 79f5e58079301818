package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"volley/internal/encryption"
	"volley/internal/keywatch"
	"volley/internal/message"
)

// Keyset looks whether the keyset opens what is sealed, and which keys the workers and
// gateways have. look says what is wrong with the keyset, loadErr why it cannot be read, and
// reports what the processes say.
func Keyset(k *encryption.Keyset, loadErr error, look func(context.Context) error, reports func(context.Context) ([]keywatch.Report, error)) Check {
	const name, do = "keyset", "give this machine the keyset of the others (encryption.keyset)"
	return Check{name, func(ctx context.Context) []Finding {
		if err := loadErr; err != nil {
			return []Finding{wrong(name, do, "%s", plain(err))}
		}
		if err := look(ctx); err != nil {
			return []Finding{wrong(name, do, "%s", plain(err))}
		}
		all, err := reports(ctx)
		if err != nil {
			return []Finding{warning(name, "", "which keys the processes have is not known: %s", plain(err))}
		}
		if k.IsOff() {
			return sealedElsewhere(name, all)
		}
		return compare(name, k, all)
	}}
}

// sealedElsewhere are the findings where this machine has no keyset, and nothing is sealed.
func sealedElsewhere(name string, all []keywatch.Report) (found []Finding) {
	for i := range all {
		if all[i].Primary != 0 {
			found = append(found, wrong(name, "give this machine the keyset of the others (encryption.keyset)", "this machine has no keyset, and %s has one", &all[i]))
		}
	}
	if len(found) > 0 {
		return found
	}
	return []Finding{ok(name, "none: nothing is encrypted")}
}

// compare compares the keys of this machine with those of the processes.
func compare(name string, k *encryption.Keyset, all []keywatch.Report) (found []Finding) {
	var primary, others []uint32
	for _, key := range k.Keys() {
		switch {
		case key.Primary:
			primary = append(primary, key.ID)
		case key.Enabled:
			others = append(others, key.ID)
		}
	}
	for _, text := range keywatch.Lacking(all, primary...) {
		found = append(found, wrong(name, "give it the keyset of the others, and start it anew where that comes from the environment", "%s, and this machine seals with it", text))
	}
	if len(found) == 0 {
		for _, text := range keywatch.Lacking(all, others...) {
			found = append(found, warning(name, "give it the keyset before volley keyset promote", "%s", text))
		}
	}
	for i := range all {
		if unknown := slices.DeleteFunc(slices.Clone(all[i].Keys), k.Opens); len(unknown) > 0 {
			texts := make([]string, 0, len(unknown))
			for _, key := range unknown {
				texts = append(texts, fmt.Sprint(key))
			}
			found = append(found, warning(name, "give this machine its keyset, unless the key was retired", "this machine lacks %s (%s) that %s has",
				message.Plural(len(unknown), "key"), strings.Join(texts, ", "), &all[i]))
		}
	}
	if len(found) > 0 {
		return found
	}
	text := message.Plural(len(k.Keys()), "key") + ", which opens what is encrypted"
	if len(k.Keys()) > 1 {
		text = message.Plural(len(k.Keys()), "key") + ", which open what is encrypted"
	}
	if len(all) > 0 {
		text += "; every worker and gateway has the same: " + processes(all)
	}
	return []Finding{ok(name, "%s", text)}
}

// processes counts them by role, as "2 workers, 1 gateway".
func processes(all []keywatch.Report) string {
	counts := map[string]int{}
	var roles, texts []string
	for i := range all {
		if counts[all[i].Role]++; counts[all[i].Role] == 1 {
			roles = append(roles, all[i].Role)
		}
	}
	slices.Sort(roles)
	for _, role := range roles {
		texts = append(texts, message.Plural(counts[role], role))
	}
	return strings.Join(texts, ", ")
}
