// Package config holds every setting of the server in one struct and the one
// list (the struct's tags) that the file, the environment, the flags, the
// printed configuration and conf/bailiwick.yaml are all made from.
//
// A value comes from the first of: flag (--server-listen), environment
// (BAILIWICK_SERVER_LISTEN), YAML file (server: {listen: ...}), default. Nothing
// is guessed: an unknown key, variable or flag and a value out of its range are
// mistakes, and all mistakes are told at once.
package config

import (
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// Config is the whole configuration. The tags are its source of truth: yaml is
// the key's name, default its value when nothing else is said, range and oneof
// what is accepted, doc what people read. A new key needs a default with which
// older files keep working.
type Config struct {
	Server    Server    `yaml:"server" doc:"Where the service listens and how long it waits."`
	Store     Store     `yaml:"store" doc:"Where policies and history are kept."`
	Cache     Cache     `yaml:"cache" doc:"Where answers are kept. With any of it or none the answers are the same."`
	Shadow    Shadow    `yaml:"shadow" doc:"A sample of the answers is given again by stock Casbin, and compared."`
	Decisions Decisions `yaml:"decisions" doc:"The log of decisions: which answers are kept, where, and what of them must not be."`
	Audit     Audit     `yaml:"audit" doc:"Signed checkpoints of the history, and what is kept of refused attempts."`
	Limits    Limits    `yaml:"limits" doc:"The most that is stored. Limits of requests are fixed; the API's own page lists them."`
	Log       Log       `yaml:"log" doc:"What is written to standard error."`

	SignIn SignIn `yaml:"sign_in" doc:"Signing in, beside the rules that each tenant has for itself."`
	Mail   Mail   `yaml:"mail" doc:"The mail server, for invitations, new passwords and news of one's account. Without one, mails wait and administrators pass links on."`

	Directory Directory `yaml:"directory" doc:"Accounts and what becomes of them."`
}

// Server says where the service listens and how long it waits.
type Server struct {
	Listen            string        `yaml:"listen" default:"127.0.0.1:8080" doc:"Address of the HTTP listener, host:port. Port 0 takes a free one; an empty host means every interface."`
	MetricsListen     string        `yaml:"metrics_listen" doc:"Address of a second listener for /metrics, /livez and /readyz. Empty: they share the first one."`
	PublicURL         string        `yaml:"public_url" doc:"Absolute URL under which clients reach the service. It is what discovery documents name; the Host header of a request is never believed. Empty: the address listened on."`
	Secret            string        `yaml:"secret" secret:"true" doc:"Encrypts what nobody may read who sees the database only, such as second factors. The same on all servers over one database, at least 32 characters: openssl rand -hex 32. Empty: beside the file of sqlite one is made and kept, with .secret behind its name; with mysql nobody can use a second factor."`
	SecretFile        string        `yaml:"secret_file" fills:"server.secret" doc:"File that holds the secret."`
	TrustedProxies    []string      `yaml:"trusted_proxies" doc:"Addresses or networks (10.0.0.0/8) of proxies whose X-Forwarded-For is believed. Empty: nobody's."`
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout" default:"5s" range:"1ms..1h" doc:"Time a client has to send the head of a request."`
	ReadTimeout       time.Duration `yaml:"read_timeout" default:"10s" range:"1ms..1h" doc:"Time a client has to send a whole request."`
	WriteTimeout      time.Duration `yaml:"write_timeout" default:"30s" range:"4s..1h" doc:"Time from the end of the request's head to the end of the answer. An answer is given up after 3s, so it must be longer than that."`
	IdleTimeout       time.Duration `yaml:"idle_timeout" default:"60s" range:"1ms..24h" doc:"Time an idle connection is kept open."`
	ShutdownTimeout   time.Duration `yaml:"shutdown_timeout" default:"10s" range:"1s..1h" doc:"Time that requests in flight are given when the service is told to stop."`
	MaxHeaderBytes    Size          `yaml:"max_header_bytes" default:"64KiB" range:"4KiB..1MiB" doc:"Largest head of a request."`
	MemoryLimit       string        `yaml:"memory_limit" default:"auto" oneof:"auto|off" doc:"auto: the garbage collector keeps to 90 percent of what the container may use, where it has a limit and GOMEMLIMIT is not set; off: it knows of no limit."`
	Places            Places        `yaml:"places" doc:"How much is done at one time. What finds no place soon is answered 503 with Retry-After, so that what is let in is answered quickly under any load."`
}

// Places bounds how much is done at one time, by kind of work.
type Places struct {
	Checks     int           `yaml:"checks" default:"256" range:"1..100000" doc:"Questions and batches of them."`
	Consistent int           `yaml:"consistent" default:"128" range:"1..100000" doc:"Questions that name a revision or want the newest, and may wait for it."`
	Searches   int           `yaml:"searches" default:"16" range:"1..100000" doc:"Searches, explanations and lists."`
	Scans      int           `yaml:"scans" default:"8" range:"1..100000" doc:"Questions to tenants whose own Casbin model can only be answered by looking at all rules."`
	Writes     int           `yaml:"writes" default:"16" range:"1..100000" doc:"Changes. Their bodies, up to 16 MiB each, are in memory."`
	Waiting    int           `yaml:"waiting" default:"512" range:"1..1000000" doc:"Requests of one kind that may wait for a place."`
	Wait       time.Duration `yaml:"wait" default:"25ms" range:"1ms..1s" doc:"Time that a request waits for a place before it is refused."`
}

// Store says where policies and history are kept.
type Store struct {
	Driver       string        `yaml:"driver" default:"auto" oneof:"auto|sqlite|mysql" doc:"sqlite (one process, one file) or mysql (MySQL, MariaDB and what speaks their protocol; any number of replicas); auto goes by the DSN."`
	DSN          string        `yaml:"dsn" default:"bailiwick.db" secret:"true" doc:"sqlite: path of the file. mysql: user:password@tcp(host:3306)/database."`
	DSNFile      string        `yaml:"dsn_file" fills:"store.dsn" doc:"File that holds the DSN, for secrets that are mounted. Instead of dsn, not beside it."`
	MaxOpenConns int           `yaml:"max_open_conns" default:"32" range:"2..10000" doc:"Most connections to the database at one time, beside one that follows it (mysql)."`
	MaxIdleConns int           `yaml:"max_idle_conns" default:"16" range:"0..10000" doc:"Most idle connections that are kept open (mysql)."`
	PollInterval time.Duration `yaml:"poll_interval" default:"250ms" range:"10ms..1m" doc:"How often a replica asks the database for new revisions."`
	StaleAfter   time.Duration `yaml:"stale_after" default:"10s" range:"1s..1h" doc:"A replica that could not confirm its revision for this long answers 503 rather than decide. Must be longer than poll_interval."`
}

// Cache says where answers are kept.
type Cache struct {
	Subjects Size  `yaml:"subjects" default:"128MiB" range:"1KiB..64000MiB" doc:"Memory for what is known of users: what each holds in a scope and, in tenants with more than limits.resident_users, their memberships. Whoever is asked about again is answered from it."`
	Memory   Size  `yaml:"memory" default:"64MiB" range:"0..64000MiB" doc:"Memory for answers of this process: those that cost more than to look them up, as under Casbin models that must be interpreted, and of searches. 0 keeps none."`
	Redis    Redis `yaml:"redis" doc:"A Redis that replicas share, for answers and for the news of revisions. It may be lost at any time."`
}

// Redis says which Redis replicas share, and how it is used.
type Redis struct {
	Mode                 string        `yaml:"mode" default:"auto" oneof:"auto|always|off" doc:"Which answers are looked for in Redis: auto those for which it pays (facts that are not at hand, models that must be interpreted, searches), always all, off none. News of revisions are passed on in any case."`
	Addresses            []string      `yaml:"addresses" doc:"host:port of one server, of several nodes of a Cluster, or with master of the Sentinels. Empty: no Redis is used."`
	Master               string        `yaml:"master" doc:"Name by which the Sentinels know the master. Empty: the addresses are no Sentinels."`
	Cluster              bool          `yaml:"cluster" default:"false" doc:"The one address leads to a Cluster. Several addresses do so anyway."`
	Database             int           `yaml:"database" default:"0" range:"0..1000000" doc:"Number of the database, of a single server or behind Sentinels."`
	Username             string        `yaml:"username" doc:"User to sign in as; empty: the default one."`
	Password             string        `yaml:"password" secret:"true" doc:"Password to sign in with; empty: none."`
	PasswordFile         string        `yaml:"password_file" fills:"cache.redis.password" doc:"File that holds the password."`
	SentinelUsername     string        `yaml:"sentinel_username" doc:"User to sign in to the Sentinels as."`
	SentinelPassword     string        `yaml:"sentinel_password" secret:"true" doc:"Password to sign in to the Sentinels with."`
	SentinelPasswordFile string        `yaml:"sentinel_password_file" fills:"cache.redis.sentinel_password" doc:"File that holds it."`
	TLS                  bool          `yaml:"tls" default:"false" doc:"Talk TLS to Redis."`
	TLSCA                string        `yaml:"tls_ca" doc:"File with the certificates of authorities that are believed, PEM. Empty: those of the system."`
	TLSCertificate       string        `yaml:"tls_certificate" doc:"File with our own certificate, PEM, where Redis asks for one."`
	TLSKey               string        `yaml:"tls_key" doc:"File with the key of tls_certificate, PEM."`
	TLSName              string        `yaml:"tls_name" doc:"Name that the certificate of Redis must be for. Empty: the host of the address."`
	Prefix               string        `yaml:"prefix" default:"bailiwick:" doc:"First part of all keys and of the channel; installations that share a Redis need different ones."`
	Secret               string        `yaml:"secret" secret:"true" doc:"Keeps whoever can write to Redis from making answers. Required with addresses, the same on all replicas, at least 32 characters: openssl rand -hex 32."`
	SecretFile           string        `yaml:"secret_file" fills:"cache.redis.secret" doc:"File that holds the secret."`
	Timeout              time.Duration `yaml:"timeout" default:"50ms" range:"1ms..1s" doc:"Most that a question waits for Redis before it is answered without."`
	TTL                  time.Duration `yaml:"ttl" default:"10m" range:"1s..24h" doc:"Most that an answer is kept. Answers of old revisions are never used again, and take room until then."`
}

// Shadow says how much is compared with stock Casbin, and what it may cost.
type Shadow struct {
	Fraction float64       `yaml:"fraction" default:"0" range:"0..1" doc:"Share of the answers that are compared, such as 0.001; 0 compares none. Whatever it is, one goroutine compares, for half of one processor at most, and no answer waits for it."`
	MaxRules int           `yaml:"max_rules" default:"10000" range:"1..10000000" doc:"Tenants with more rules are left out: stock Casbin takes about a microsecond for each rule and question, and far longer for the first question of a subject."`
	Timeout  time.Duration `yaml:"timeout" default:"10s" range:"10ms..1h" doc:"A tenant for which stock Casbin takes longer is left out until restart."`
	Queue    int           `yaml:"queue" default:"256" range:"1..100000" doc:"Questions that may wait to be compared, 16 KiB each at most; further ones are dropped."`
}

// Decisions say which answers are kept, where, and what of them must not be.
type Decisions struct {
	Sinks       []string      `yaml:"sinks" doc:"Where answers that applications act upon are kept: file, stdout, store, or several of them. Empty: nowhere."`
	Strict      bool          `yaml:"strict" default:"false" doc:"An answer that could not be kept in every sink is not given: 503. Makes every question wait for the sinks."`
	StrictWait  time.Duration `yaml:"strict_wait" default:"1s" range:"10ms..1m" doc:"Time that a question waits for the sinks where strict is set."`
	Queue       int           `yaml:"queue" default:"4096" range:"100..1000000" doc:"Answers that may wait to be kept, 16 KiB each at most. Further ones are lost, which is counted and shown."`
	Sample      []string      `yaml:"sample" doc:"Rules that say which share of answers is kept: a share from 0 to 1 and what it is for, as in 0.01 outcome=allow section=System.Orders tenant=crm reason=granted_by. The first that matches counts; answers that match none, and all about exports, are kept."`
	MaskUsers   bool          `yaml:"mask_users" default:"false" doc:"Ids of users are replaced by masks: they can be searched for, and not be read."`
	Mask        []string      `yaml:"mask" doc:"What else is replaced by masks: context.NAME, subject.NAME, resource.NAME, action.NAME, resource.id; * stands for every name."`
	Drop        []string      `yaml:"drop" doc:"What is left out altogether, written likewise. Names that sound like secrets, such as password or token, are left out always."`
	MaskKey     string        `yaml:"mask_key" secret:"true" doc:"Makes the masks: without it nobody can guess what they stand for. Required with mask_users and mask, the same on all replicas, at least 32 characters: openssl rand -hex 32."`
	MaskKeyFile string        `yaml:"mask_key_file" fills:"decisions.mask_key" doc:"File that holds the key."`
	File        string        `yaml:"file" default:"decisions.ndjson" doc:"Path of the file, one JSON object a line. Every process needs one of its own."`
	FileSize    Size          `yaml:"file_size" default:"64MiB" range:"1KiB..64000MiB" doc:"A file that would become larger is put aside under the moment it ended."`
	FileAge     time.Duration `yaml:"file_age" default:"24h" range:"1m..87600h" doc:"So is one that is older."`
	FileKeep    int           `yaml:"file_keep" default:"14" range:"1..100000" doc:"Files put aside that are kept."`
	FileSync    bool          `yaml:"file_sync" default:"false" doc:"Every batch outlives a power cut before it counts as kept; strict implies it. Else the system writes within some seconds, and only what it has not written can be lost with the machine."`
	StoreAge    time.Duration `yaml:"store_age" default:"720h" range:"1h..87600h" doc:"Answers in the store are removed after this time."`
	StoreRows   int           `yaml:"store_rows" default:"1000000" range:"1000..1000000000" doc:"Most answers in the store, of all tenants together. Beyond that the tenant with the most loses his oldest."`
}

// On tells whether anything is kept.
func (d Decisions) On() bool { return len(d.Sinks) > 0 }

func (d Decisions) validate(wrong *Mistakes) {
	seen := map[string]bool{}
	for _, sink := range d.Sinks {
		if sink != "file" && sink != "stdout" && sink != "store" {
			wrong.add("decisions.sinks", "%q is none of file, stdout, store", sink)
		}
		if seen[sink] {
			wrong.add("decisions.sinks", "%q is there twice", sink)
		}
		seen[sink] = true
	}
	if d.Strict && !d.On() {
		wrong.add("decisions.strict", "is set, and decisions.sinks names none: nothing would ever be decided")
	}
	if seen["file"] && d.File == "" {
		wrong.add("decisions.file", "is required with the sink file")
	}
}

// Audit says how histories are signed, and what is kept of refused attempts.
type Audit struct {
	SigningKey  string        `yaml:"signing_key" doc:"Path of the file with the Ed25519 key that signs the history, PEM; bailiwick keys audit makes one. Empty: with sqlite a file beside the database, made at start; with mysql nothing is signed."`
	Witness     string        `yaml:"witness" doc:"Path of a file to which every checkpoint is added, a line each, out of reach of whoever can change the database. What it names must still be there when a server starts, or the history is not signed any more. Each server needs one of its own. Empty: none."`
	RefusalAge  time.Duration `yaml:"refusal_age" default:"8760h" range:"1h..87600h" doc:"Refused attempts are removed after this time."`
	RefusalRows int           `yaml:"refusal_rows" default:"1000000" range:"1000..100000000" doc:"Most refused attempts that are kept. Beyond that the tenant with the most loses his oldest."`
}

// Limits say how much is stored.
type Limits struct {
	Rules         int `yaml:"rules" default:"200000" range:"1..10000000" doc:"Rule lines of one tenant."`
	ResidentUsers int `yaml:"resident_users" default:"200000" range:"0..100000000" doc:"Users up to which a tenant is kept in memory as a whole; those of larger tenants are read when they are asked about. 0: of every tenant."`
}

// Directory says what becomes of accounts.
type Directory struct {
	RestoreWindow time.Duration `yaml:"restore_window" default:"336h" range:"1h..87600h" doc:"Time for which a deleted account can be restored."`
}

// SignIn says where else people can sign in.
type SignIn struct {
	ProvidersFile string `yaml:"providers_file" doc:"File that lists the OpenID providers of tenants, see docs/operations.md. It needs server.public_url, to which they send browsers back. Empty: there are none."`
}

// Mail says how mails are sent.
type Mail struct {
	Server       string        `yaml:"server" doc:"Host of the mail server (SMTP). Empty: no mails are sent."`
	Port         int           `yaml:"port" default:"587" range:"1..65535" doc:"Its port: 587 goes with starttls, 465 with implicit."`
	TLS          string        `yaml:"tls" default:"starttls" oneof:"starttls|implicit|none" doc:"starttls: the connection is encrypted before anything is said; implicit: from its first byte; none: not at all, for a server on the same machine."`
	TLSCA        string        `yaml:"tls_ca" doc:"File with the certificates of authorities that are believed, PEM. Empty: those of the system."`
	User         string        `yaml:"user" doc:"User to sign in as; empty: none."`
	Password     string        `yaml:"password" secret:"true" doc:"Password to sign in with. It is never sent in the clear."`
	PasswordFile string        `yaml:"password_file" fills:"mail.password" doc:"File that holds the password."`
	From         string        `yaml:"from" doc:"Sender, such as Access <access@example.com>; the name is what mails call the service. Required with server, as is server.public_url, which links begin with."`
	Timeout      time.Duration `yaml:"timeout" default:"15s" range:"1s..1m" doc:"Most that connecting and each mail may take. No request waits for it."`
	GiveUpAfter  time.Duration `yaml:"give_up_after" default:"72h" range:"1m..720h" doc:"A mail that could not be sent is tried again for this long, ever more rarely."`
}

// Log says what is written to standard error.
type Log struct {
	Level  string `yaml:"level" default:"info" oneof:"debug|info|warn|error" doc:"Least serious level that is written."`
	Format string `yaml:"format" default:"json" oneof:"json|text" doc:"json for machines, text for people."`
}

// Default returns the configuration nobody has said anything about.
func Default() Config {
	var c Config
	for _, k := range Keys() {
		if err := set(k.in(&c), k.Default); err != nil {
			panic("default of " + k.Name + ": " + err.Error()) // a wrong tag, found by any test
		}
	}
	return c
}

// Validate returns every mistake in the values, each naming its key; nil when
// there is none. The error is of type Mistakes.
func (c Config) Validate() error {
	var wrong Mistakes
	for _, k := range Keys() {
		if err := k.accepts(k.in(&c)); err != nil {
			wrong.add(k.Name, "%v", err)
		}
	}
	c.Server.validate(&wrong)
	c.Store.validate(&wrong)
	c.Cache.Redis.validate(&wrong)
	c.Mail.validate(c.Server.PublicURL, &wrong)
	if c.SignIn.ProvidersFile != "" && c.Server.PublicURL == "" {
		wrong.add("server.public_url", "is required with sign_in.providers_file: browsers come back to it")
	}
	c.Decisions.validate(&wrong)
	return wrong.orNil()
}

func (s Server) validate(wrong *Mistakes) {
	if err := validListen(s.Listen); err != "" {
		wrong.add("server.listen", "%s", err)
	}
	if s.MetricsListen != "" {
		if err := validListen(s.MetricsListen); err != "" {
			wrong.add("server.metrics_listen", "%s", err)
		} else if s.MetricsListen == s.Listen && !freePort(s.Listen) {
			wrong.add("server.metrics_listen", "is the same address as server.listen; leave it empty to share that one")
		}
	}
	if u, err := url.Parse(s.PublicURL); s.PublicURL != "" && (err != nil || !isPublic(u)) {
		wrong.add("server.public_url", "must be an absolute http or https URL without query, such as https://access.example.com")
	}
	validSecret("server.secret", s.Secret, wrong)
	for _, proxy := range s.TrustedProxies {
		if !isAddressOrNetwork(proxy) {
			wrong.add("server.trusted_proxies", "%q is neither an IP address nor a network such as 10.0.0.0/8", proxy)
		}
	}
}

// DriverName gives the driver, "sqlite" or "mysql". With auto, a DSN that names
// a network and an address, as in user:password@tcp(host:3306)/database, is of
// MySQL; a path of a file has no reason to look like that.
func (s Store) DriverName() string {
	switch {
	case s.Driver != "auto":
		return s.Driver
	case networkDSN.MatchString(s.DSN):
		return "mysql"
	}
	return "sqlite"
}

var networkDSN = regexp.MustCompile(`(^|@)(tcp|unix)\([^)]*\)/`)

func (s Store) validate(wrong *Mistakes) {
	switch {
	case s.DSN == "":
		wrong.add("store.dsn", "is required")
	case s.Driver == "mysql" && s.DSN == Default().Store.DSN:
		wrong.add("store.dsn", "is required when store.driver is mysql: user:password@tcp(host:3306)/database")
	}
	if s.MaxIdleConns > s.MaxOpenConns {
		wrong.add("store.max_idle_conns", "%d must not exceed store.max_open_conns, %d", s.MaxIdleConns, s.MaxOpenConns)
	}
	if s.StaleAfter <= s.PollInterval {
		wrong.add("store.stale_after", "%s must be longer than store.poll_interval, %s", s.StaleAfter, s.PollInterval)
	}
}

// minSecret is what packages cache and service ask of a secret, in bytes.
const minSecret = 32

func validSecret(key, secret string, wrong *Mistakes) {
	if secret != "" && len(secret) < minSecret {
		wrong.add(key, "has %d characters and needs at least %d; make one with openssl rand -hex 32", len(secret), minSecret)
	}
}

func (r Redis) validate(wrong *Mistakes) {
	for _, address := range r.Addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			wrong.add("cache.redis.addresses", "%q is not host:port, such as redis:6379", address)
		}
	}
	validSecret("cache.redis.secret", r.Secret, wrong)
	if r.Master != "" && r.Cluster {
		wrong.add("cache.redis.master", "and cache.redis.cluster are both given; Sentinels watch over single servers")
	}
	if (r.TLSCertificate == "") != (r.TLSKey == "") {
		wrong.add("cache.redis.tls_certificate", "and cache.redis.tls_key need each other")
	}
	if !r.TLS && (r.TLSCA != "" || r.TLSCertificate != "" || r.TLSName != "") {
		wrong.add("cache.redis.tls", "is false, so the other tls settings would not be heeded")
	}
}

func (m Mail) validate(publicURL string, wrong *Mistakes) {
	if m.Server == "" {
		if m.From != "" || m.User != "" || m.Password != "" {
			wrong.add("mail.server", "is required with the other settings of mail")
		}
		return
	}
	if _, err := mail.ParseAddress(m.From); err != nil {
		wrong.add("mail.from", "must be an address such as access@example.com or Access <access@example.com>, with mail.server")
	}
	if publicURL == "" {
		wrong.add("server.public_url", "is required with mail.server: links in mails begin with it")
	}
	if (m.User == "") != (m.Password == "") {
		wrong.add("mail.user", "and mail.password need each other")
	}
	if m.TLS == "none" && (m.Password != "" || m.TLSCA != "") {
		wrong.add("mail.tls", "is none, so neither a password nor mail.tls_ca can be used")
	}
}

func validListen(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return strconv.Quote(address) + " is not host:port, such as 127.0.0.1:8080 or :8080"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "port " + strconv.Quote(port) + " is not a number from 0 to 65535"
	}
	return ""
}

func freePort(address string) bool {
	_, port, _ := net.SplitHostPort(address)
	n, err := strconv.Atoi(port)
	return err == nil && n == 0
}

func isPublic(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func isAddressOrNetwork(s string) bool {
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}
