package service

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// The codes of RFC 6238 as all apps make them: six digits, SHA-1, a new one every
// half minute. One code before and one after the present one are taken too, since
// clocks differ and people type slowly.
const (
	codePeriod    = 30 * time.Second
	codeSkew      = 1
	codeSecretLen = 20 // bytes, as long as SHA-1
)

var base32Text = base32.StdEncoding.WithPadding(base32.NoPadding)

// halfMinute gives the number of the half minute that a code is of. Of all that
// count, each is looked at, whichever it is.
func halfMinute(secret []byte, code string, now time.Time) (step int64, ok bool, err error) {
	at := now.Unix() / int64(codePeriod/time.Second)
	for n := at - codeSkew; n <= at+codeSkew; n++ {
		want, err := codeOf(secret, n)
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = n, true
		}
	}
	return step, ok, nil
}

func codeOf(secret []byte, step int64) (string, error) {
	return hotp.GenerateCodeCustom(base32Text.EncodeToString(secret), uint64(step), //nolint:gosec // half minutes since 1970
		hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
}

// Enrolment is what somebody puts into the app on his phone. It is shown once.
type Enrolment struct {
	Key   string // base32, for those who type it
	URI   string // otpauth, as the apps read it
	Image []byte // PNG of a QR code of the URI
}

// imageSize is that of the QR code, in pixels.
const imageSize = 256

func enrolment(secret []byte, issuer, account string) (Enrolment, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: account, Secret: secret, Period: uint(codePeriod / time.Second)})
	if err != nil {
		return Enrolment{}, err
	}
	image, err := key.Image(imageSize, imageSize)
	if err != nil {
		return Enrolment{}, err
	}
	var picture bytes.Buffer
	err = png.Encode(&picture, image)
	return Enrolment{Key: key.Secret(), URI: key.URL(), Image: picture.Bytes()}, err
}

// recoveryCodes is how many codes somebody gets for having lost the app.
const recoveryCodes = 10

// newRecovery draws recovery codes of 80 bits, which nobody can guess from their
// hashes: the texts are shown once.
func newRecovery() (texts []string, hashes [][32]byte) {
	for range recoveryCodes {
		text := strings.ToLower(rand.Text()[:16])
		text = text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
		texts, hashes = append(texts, text), append(hashes, recoveryHash(text))
	}
	return texts, hashes
}

// recoveryHash is the same for all ways to write a code.
func recoveryHash(text string) [32]byte {
	return sha256.Sum256([]byte(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(text))))
}
