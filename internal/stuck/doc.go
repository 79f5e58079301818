// Package stuck finds messages that wait longer than they should, and says why.
package stuck
