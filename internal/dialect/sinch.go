package dialect

import "volley/internal/message"

func decodeSinch(body []byte, o Options) (*message.Batch, message.Problems) { return nil, nil }
