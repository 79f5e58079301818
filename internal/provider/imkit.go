package provider

import "errors"

func imkitFields(a Account) []field { return []field{address("base_url", a.BaseURL)} }

func newIMKIT(Account, *client) (Sender, error) { return nil, errors.New("imkit: no sender") }
