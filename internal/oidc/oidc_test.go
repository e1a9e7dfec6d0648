package oidc_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/oidc"
)

// liar is a provider that says what it is told to say.
type liar struct {
	*httptest.Server
	key   *rsa.PrivateKey
	token string
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{key: key}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": l.URL, "authorization_endpoint": l.URL + "/authorize", "token_endpoint": l.URL + "/token", "jwks_uri": l.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": l.token})
	})
	l.Server = httptest.NewServer(mux)
	t.Cleanup(l.Close)
	return l
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// part is a part of a token before its signature.
func part(v map[string]any) string {
	text, _ := json.Marshal(v)
	return b64(text)
}

func signed(t *testing.T, key *rsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	text := part(map[string]any{"alg": "RS256", "kid": "1", "typ": "JWT"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(signature)
}

// TestFinish_lies (Req 109): a token counts only if the provider signed it, for
// us, for this attempt, and it has not expired.
func TestFinish_lies(t *testing.T) {
	l := newLiar(t)
	p, err := oidc.New(oidc.Options{Issuer: l.URL, ClientID: "bailiwick", RedirectURL: "https://access.example.com/callback"})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	with := func(changed map[string]any) map[string]any {
		claims := map[string]any{"iss": l.URL, "aud": "bailiwick", "sub": "s1", "nonce": "nonce", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "email": "sales-1@example.com", "email_verified": true}
		maps.Copy(claims, changed)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		return claims
	}
	good := signed(t, l.key, with(nil))
	parts := strings.Split(good, ".")
	unsigned := part(map[string]any{"alg": "none", "typ": "JWT"}) + "." + parts[1]
	confused := part(map[string]any{"alg": "HS256", "kid": "1"}) + "." + parts[1]
	mac := hmac.New(sha256.New, l.key.N.Bytes())
	mac.Write([]byte(confused))
	for name, token := range map[string]string{
		"for somebody else":            signed(t, l.key, with(map[string]any{"aud": "another"})),
		"for nobody":                   signed(t, l.key, with(map[string]any{"aud": nil})),
		"of another issuer":            signed(t, l.key, with(map[string]any{"iss": "https://elsewhere.example.com"})),
		"of an issuer that begins so":  signed(t, l.key, with(map[string]any{"iss": l.URL + "/"})),
		"signed by somebody else":      signed(t, stranger, with(nil)),
		"with the signature of others": parts[0] + "." + part(with(map[string]any{"sub": "root"})) + "." + parts[2],
		"without signature":            unsigned + ".",
		"without algorithm, signed":    unsigned + "." + parts[2],
		"signed with the public key":   confused + "." + b64(mac.Sum(nil)),
		"expired":                      signed(t, l.key, with(map[string]any{"exp": now.Add(-time.Minute).Unix()})),
		"without end":                  signed(t, l.key, with(map[string]any{"exp": nil})),
		"from the future":              signed(t, l.key, with(map[string]any{"nbf": now.Add(time.Hour).Unix()})),
		"of another attempt":           signed(t, l.key, with(map[string]any{"nonce": "another"})),
		"of no attempt":                signed(t, l.key, with(map[string]any{"nonce": nil})),
		"about nobody":                 signed(t, l.key, with(map[string]any{"sub": ""})),
		"no token":                     "sales-1",
		"none":                         "",
	} {
		l.token = token
		if id, err := p.Finish(context.Background(), "code", "nonce", "verifier"); !errors.Is(err, access.ErrForbidden) || id.Subject != "" {
			t.Errorf("a token %s: %+v, %v", name, id, err)
		}
	}
	l.token = good
	id, err := p.Finish(context.Background(), "code", "nonce", "verifier")
	if err != nil || id.Subject != "s1" || id.Issuer != l.URL || id.Email != "sales-1@example.com" {
		t.Errorf("a good one: %+v, %v", id, err)
	}
}
