package service

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// ErrTooMany is the kind of TooMany.
var ErrTooMany = errors.New("too many tries")

// TooMany says that something was tried too often, and when it can be tried
// again. It is the same for accounts that exist and those that do not.
type TooMany struct { //nolint:errname // it reads as what has happened
	After time.Duration
	Why   string
}

// Error says it in words.
func (e *TooMany) Error() string {
	return fmt.Sprintf("%s; try again in %s", e.Why, e.After.Round(time.Second))
}

// Unwrap gives the kind.
func (e *TooMany) Unwrap() error { return ErrTooMany }

// From how many failures on one has to wait between tries: of an account, and
// of an address, behind which there may be many people.
const (
	freeOfAccount = 5
	freeOfAddress = 50
)

// unknownLock is how long an account is locked that does not exist, where others
// are until somebody unlocks them: nobody could unlock it.
const unknownLock = 24 * time.Hour

// accountKey is what failures of an account are counted by: one for all ways to
// write its e-mail.
func accountKey(email string) [32]byte {
	return sha256.Sum256([]byte("account\n" + access.FoldCase(access.Login(email))))
}

// addressKey is what failures of a client's address are counted by.
func addressKey(address string) [32]byte {
	return sha256.Sum256([]byte("address\n" + networkOf(address)))
}

// networkOf is what counts as one client: a network of IPv6 is as easily had as one
// address of IPv4.
func networkOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if ip = ip.Unmap(); err != nil || ip.Is4() {
		return strings.TrimPrefix(address, "::ffff:")
	}
	network, _ := ip.WithZone("").Prefix(64) // of what has 128 bits
	return network.String()
}

// counted are the rules by which a try to sign in to an account is counted.
func counted(a *access.Account, account, address [32]byte) []access.CounterRule {
	r := a.Rules.Filled()
	of := access.CounterRule{Key: account, Window: r.FailureWindow, Free: freeOfAccount, Lock: r.Failures, For: r.LockFor}
	if r.LockForGood {
		of.For = 0
		if !a.Known {
			of.For = unknownLock
		}
	}
	return []access.CounterRule{of, {Key: address, Window: r.FailureWindow, Free: freeOfAddress}}
}
