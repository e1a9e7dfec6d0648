package access

// Identity is somebody as an OpenID provider knows him, after the provider's
// word was verified.
type Identity struct {
	Issuer   string   // the provider's own name for itself
	Subject  string   // its name for him, never given to anybody else
	Email    string   // empty where it does not say that he was shown to have it
	Name     string   // what people call him; may be empty
	Groups   []string // what the configured claim holds
	NoGroups bool     // the claim is not there at all, so nothing is said about groups
}
