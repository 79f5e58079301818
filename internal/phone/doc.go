// Package phone reads phone numbers as people write them and turns each into its
// E.164 form, or says what it looks like instead. It stands beside the libraries
// because they read a number into whatever has digits (a date, a price, two
// numbers), and it stands alone because dialects, senders and the configuration
// all need the same reading.
package phone
