package config

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Provider is an OpenID provider at which the users of a tenant can sign in, as
// the file sign_in.providers_file has it.
type Provider struct {
	Tenant       string            `yaml:"tenant"`
	Code         string            `yaml:"code"` // stands in paths
	Name         string            `yaml:"name"` // what people call it; the code when empty
	Issuer       string            `yaml:"issuer"`
	ClientID     string            `yaml:"client_id"`
	SecretFile   string            `yaml:"client_secret_file"` // none for a public client
	Secret       string            `yaml:"-"`                  // what it holds
	Scopes       []string          `yaml:"scopes"`             // profile and email when nil
	LinkByEmail  bool              `yaml:"link_by_email"`
	CreateUsers  bool              `yaml:"create_users"`
	GroupsClaim  string            `yaml:"groups_claim"`
	GroupsByName map[string]string `yaml:"groups"` // group of the tenant by value of the claim
}

// Providers reads the file of OpenID providers, and returns every mistake in it.
// Without a file there are none.
func (s SignIn) Providers() ([]Provider, error) {
	if s.ProvidersFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.ProvidersFile)
	if err != nil {
		return nil, fmt.Errorf("sign_in.providers_file: %w", err)
	}
	var file struct {
		Providers []Provider `yaml:"providers"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("%s: %w", s.ProvidersFile, err)
	}
	seen := map[string]bool{}
	var wrong []error
	for i := range file.Providers {
		p := &file.Providers[i]
		for _, err := range p.fill() {
			wrong = append(wrong, fmt.Errorf("%s: providers[%d]: %w", s.ProvidersFile, i, err))
		}
		if at := p.Tenant + "\n" + p.Code; seen[at] {
			wrong = append(wrong, fmt.Errorf("%s: providers[%d]: code %q is there twice for tenant %q", s.ProvidersFile, i, p.Code, p.Tenant))
		} else {
			seen[at] = true
		}
	}
	return file.Providers, errors.Join(wrong...)
}

var providerCode = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// fill puts in what was left out, and gives the mistakes.
func (p *Provider) fill() (wrong []error) {
	if p.Name == "" {
		p.Name = p.Code
	}
	if p.Scopes == nil {
		p.Scopes = []string{"profile", "email"}
	}
	for _, field := range []struct{ name, value string }{{"tenant", p.Tenant}, {"issuer", p.Issuer}, {"client_id", p.ClientID}} {
		if field.value == "" {
			wrong = append(wrong, fmt.Errorf("%s is required", field.name))
		}
	}
	if !providerCode.MatchString(p.Code) {
		wrong = append(wrong, fmt.Errorf("code %q must be 1 to 40 small letters, digits and -", p.Code))
	}
	if u, err := url.Parse(p.Issuer); p.Issuer != "" && (err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Host))) {
		wrong = append(wrong, fmt.Errorf("issuer %q must be an https URL", p.Issuer))
	}
	if len(p.GroupsByName) > 0 && p.GroupsClaim == "" {
		wrong = append(wrong, errors.New("groups needs groups_claim"))
	}
	if p.SecretFile != "" {
		secret, err := os.ReadFile(p.SecretFile)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("client_secret_file: %w", err))
		}
		p.Secret = strings.TrimSpace(string(secret))
	}
	return wrong
}

func onThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}
