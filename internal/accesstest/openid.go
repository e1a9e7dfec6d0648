package accesstest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// OpenIDProvider is a real OpenID provider in a process of its own.
type OpenIDProvider struct {
	Issuer           string
	Client, Password string
}

// openIDProgram is built once.
var openIDProgram struct {
	once   sync.Once
	path   string
	err    error
	output []byte
}

// NewOpenIDProvider starts a provider that sends browsers back to one URL. It
// ends with the test.
func NewOpenIDProvider(t testing.TB, back string) *OpenIDProvider {
	t.Helper()
	b := &openIDProgram
	b.once.Do(func() {
		var folder string
		if folder, b.err = os.MkdirTemp("", "bailiwick-provider."); b.err != nil { //nolint:usetesting // for all tests of the process
			return
		}
		b.path = filepath.Join(folder, "provider")
		build := exec.Command("go", "build", "-o", b.path, ".") //nolint:gosec,noctx // ours, and it ends by itself
		build.Dir = filepath.Join(moduleRoot(t), "internal", "accesstest", "provider")
		b.output, b.err = build.CombinedOutput()
	})
	if b.err != nil {
		t.Fatalf("build the OpenID provider: %v\n%s", b.err, b.output)
	}
	p := &OpenIDProvider{Client: "bailiwick", Password: "only the two of us know it"}
	cmd := exec.Command(b.path, "-client", p.Client, "-secret", p.Password, "-redirect", back) //nolint:gosec,noctx // ours, and it ends with its input
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the OpenID provider did not start: %v", err)
	}
	p.Issuer = strings.TrimSpace(line)
	return p
}

// Says what the provider says of whoever comes next, by the names of claims.
func (p *OpenIDProvider) Says(t testing.TB, claims map[string]any) {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+"/claims", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Body.Close()
}
