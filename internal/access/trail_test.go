package access_test

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
)

// TestTrail_cutAndGlued: lines that no database could give, as in an export that
// somebody has edited, are found.
func TestTrail_cutAndGlued(t *testing.T) {
	head := access.TrailLine{Kind: access.TrailHead, Tenant: "crm"}
	end := access.TrailLine{Kind: access.TrailEnd}
	for name, tc := range map[string]struct {
		lines []access.TrailLine
		want  string
	}{
		"nothing":            {nil, "the end is missing"},
		"no head":            {[]access.TrailLine{end}, "the head is missing"},
		"two heads":          {[]access.TrailLine{head, head, end}, "two heads"},
		"cut off":            {[]access.TrailLine{head}, "the end is missing"},
		"behind the end":     {[]access.TrailLine{head, end, end}, "follows the end"},
		"an unknown line":    {[]access.TrailLine{head, {Kind: "x"}, end}, "unknown kind"},
		"an empty statement": {[]access.TrailLine{head, {Kind: access.TrailCheckpoint}, end}, "says nothing"},
		"another end":        {[]access.TrailLine{head, {Kind: access.TrailEnd, Revision: 3}}, "another revision"},
		"a higher counter":   {[]access.TrailLine{{Kind: access.TrailHead, Revision: 2}, end}, "the tenant is at 2"},
		"a stray change":     {[]access.TrailLine{head, {Kind: access.TrailChange, Revision: 1, N: 1}, end}, "which is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			trail := access.NewTrail(nil, nil)
			for _, l := range tc.lines {
				trail.Take(l)
			}
			if got := strings.Join(trail.Done().Wrong, "\n"); !strings.Contains(got, tc.want) {
				t.Errorf("found %q", got)
			}
		})
	}
}

func TestCheckpoint_signed(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := access.Checkpoint{Tenant: "crm", Number: 1, Epoch: "e", Revision: 2, Hash: "h", At: 3}
	c.Sign(private)
	if !c.SignedBy([]ed25519.PublicKey{other, public}) || c.SignedBy([]ed25519.PublicKey{other}) || c.SignedBy(nil) {
		t.Error("it is known by the wrong keys")
	}
	for name, edit := range map[string]func(*access.Checkpoint){
		"tenant":    func(c *access.Checkpoint) { c.Tenant = "erp" },
		"number":    func(c *access.Checkpoint) { c.Number++ },
		"epoch":     func(c *access.Checkpoint) { c.Epoch = "f" },
		"revision":  func(c *access.Checkpoint) { c.Revision++ },
		"hash":      func(c *access.Checkpoint) { c.Hash = "i" },
		"at":        func(c *access.Checkpoint) { c.At++ },
		"before":    func(c *access.Checkpoint) { c.Before = "x" },
		"key":       func(c *access.Checkpoint) { c.Key = access.KeyName(other) },
		"signature": func(c *access.Checkpoint) { c.Signature = "AAAA" },
	} {
		edited := c
		if edit(&edited); edited.SignedBy([]ed25519.PublicKey{public, other}) {
			t.Errorf("%s can be edited", name)
		}
	}
}
