package provider

import "errors"

func blueskyFields(a Account) []field { return []field{address("base_url", a.BaseURL)} }

func newBluesky(Account, *client) (Sender, error) { return nil, errors.New("bluesky: no sender") }
