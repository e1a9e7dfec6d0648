package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/config"
)

var update = flag.Bool("update", false, "write conf/bailiwick.yaml again")

const reference = "../../conf/bailiwick.yaml"

// load reads a file of this content with the environment and flags given.
func load(t *testing.T, content string, env []string, flags map[string]string) (config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bailiwick.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.LoadOptions{File: path, Env: env, Flags: flags})
}

func TestReference_isWrittenFromTheStruct(t *testing.T) {
	if *update {
		if err := os.WriteFile(reference, []byte(config.Reference()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != config.Reference() {
		t.Error("conf/bailiwick.yaml differs from the settings: go test ./internal/config -update")
	}
}

func TestReference_holdsTheDefaults(t *testing.T) {
	got, err := config.Load(config.LoadOptions{File: reference})
	if err != nil {
		t.Fatal(err)
	}
	if got.Print(false) != config.Default().Print(false) {
		t.Errorf("conf/bailiwick.yaml says\n%s\nthe defaults are\n%s", got.Print(false), config.Default().Print(false))
	}
	for _, k := range config.Keys() {
		sections, name := strings.Count(k.Name, "."), k.Name[strings.LastIndexByte(k.Name, '.')+1:]
		if !strings.Contains(config.Reference(), "\n"+strings.Repeat("  ", sections)+name+": ") {
			t.Errorf("%s is not in conf/bailiwick.yaml", k.Name)
		}
	}
}

func TestDefault_isValid(t *testing.T) {
	if err := config.Default().Validate(); err != nil {
		t.Error(err)
	}
	if got := config.Default().Store.StaleAfter; got != 10*time.Second {
		t.Errorf("stale_after is %s by default, the blueprint says 10s", got)
	}
}

func TestKeys_namesAreUniqueAndExplained(t *testing.T) {
	seen := map[string]bool{"BAILIWICK_SERVER": true, "BAILIWICK_API_KEY": true, "BAILIWICK_CONFIG": true, "server": true}
	for _, k := range config.Keys() {
		if k.Usage == "" {
			t.Errorf("%s has no explanation", k.Name)
		}
		for _, name := range []string{k.Flag(), k.Variable()} {
			if seen[name] {
				t.Errorf("%s: the name %s is taken", k.Name, name)
			}
			seen[name] = true
		}
	}
}

func TestPrint_isReadBackAsTheSame(t *testing.T) {
	c, err := load(t, "server: {trusted_proxies: [10.0.0.0/8, '::1'], idle_timeout: 90m, max_header_bytes: 5000, read_timeout: 60m, public_url: 'https://a.example.com/x'}\nlimits: {rules: 1500}\nstore: {dsn: \"a \\\"b\\\" \\u00e9.db\"}\n", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := load(t, c.Print(false), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Print(false) != c.Print(false) {
		t.Errorf("printed\n%s\nread back\n%s", c.Print(false), again.Print(false))
	}
	if printed := c.Print(false); !strings.Contains(printed, "idle_timeout: 1h30m\n") || !strings.Contains(printed, "read_timeout: 1h\n") {
		t.Error("durations are printed as nobody writes them")
	}
}

func TestPrint_masksPasswords(t *testing.T) {
	for name, tc := range map[string]struct{ driver, dsn, want string }{
		"password":           {"mysql", "root:s3cret@tcp(db:3306)/x", `"root:***@tcp(db:3306)/x"`},
		"password with at":   {"mysql", "root:s3cret@s3cret@tcp(db:3306)/x", `"root:***@tcp(db:3306)/x"`},
		"password, slash":    {"mysql", "root:s3/cret@tcp(db:3306)/x", `"root:***@tcp(db:3306)/x"`},
		"URL":                {"mysql", "mysql://root:s3cret@db/x", `"mysql:***@db/x"`},
		"broken":             {"mysql", "root:s3cret", `"***"`},
		"password, line end": {"mysql", "root:s3cret\n@tcp(db)/x", `"root:***@tcp(db)/x"`},
		"file":               {"sqlite", "/data/bailiwick.db", `"/data/bailiwick.db"`},
		"sqlite with mysql":  {"sqlite", "root:s3cret@tcp(db:3306)/x", `"root:***@tcp(db:3306)/x"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := config.Default()
			c.Store.Driver, c.Store.DSN = tc.driver, tc.dsn
			if printed := c.Print(true); !strings.Contains(printed, "\n  dsn: "+tc.want+"\n") || strings.Contains(printed, "s3") {
				t.Errorf("printed\n%s\nwant dsn: %s", printed, tc.want)
			}
		})
	}
}

func TestPrint_masksSecretsOfRedis(t *testing.T) {
	c := config.Default()
	c.Cache.Redis.Password, c.Cache.Redis.SentinelPassword, c.Cache.Redis.Secret = "s3cret", "s3cret", "s3cret"
	printed := c.Print(true)
	for _, want := range []string{"\n    password: \"***\"\n", "\n    sentinel_password: \"***\"\n", "\n    secret: \"***\"\n"} {
		if !strings.Contains(printed, want) {
			t.Errorf("%q is missing in\n%s", want, printed)
		}
	}
	if strings.Contains(printed, "s3") {
		t.Errorf("a secret is printed\n%s", printed)
	}
}

// One setting is enough to go to MySQL.
func TestStore_driverName(t *testing.T) {
	for dsn, want := range map[string]string{
		"user:pw@tcp(db:3306)/bailiwick": "mysql", "user@unix(/run/mysqld.sock)/x": "mysql", "tcp(db)/x": "mysql",
		"p@ss:w/rd@tcp(db)/x": "mysql", "bailiwick.db": "sqlite", "/data/a@tcp.db": "sqlite", "notcp(1)/x.db": "sqlite",
	} {
		if got := (config.Store{Driver: "auto", DSN: dsn}).DriverName(); got != want {
			t.Errorf("%s: %s", dsn, got)
		}
		if got := (config.Store{Driver: "sqlite", DSN: dsn}).DriverName(); got != "sqlite" {
			t.Errorf("%s: what was said is %s", dsn, got)
		}
	}
}

func TestLoad_precedence(t *testing.T) {
	const file = "server: {listen: 'file:1', idle_timeout: 1s}\nlog: {level: warn}\n"
	env := []string{"BAILIWICK_SERVER_LISTEN=env:2", "BAILIWICK_LOG_LEVEL=debug", "PATH=/bin"}
	got, err := load(t, file, env, map[string]string{"server-listen": "flag:3"})
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]string{
		"flag beats environment": {got.Server.Listen, "flag:3"},
		"environment beats file": {got.Log.Level, "debug"},
		"file beats default":     {got.Server.IdleTimeout.String(), "1s"},
		"default":                {got.Log.Format, "json"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", what, pair[0], pair[1])
		}
	}
}

func TestLoad_everyKeyFromEveryPlace(t *testing.T) {
	values := map[string]string{ // another value than the default
		"server.listen": "127.0.0.1:1", "server.metrics_listen": "127.0.0.1:2", "server.public_url": "https://example.com",
		"server.trusted_proxies": "10.0.0.1,10.1.0.0/16", "store.driver": "mysql", "store.dsn": "u:p@tcp(h:1)/d",
		"server.secret": strings.Repeat("y", 32), "server.memory_limit": "off", "server.places.wait": "20ms",
		"directory.restore_window": "2h", "log.level": "error", "log.format": "text", "shadow.fraction": "0.00001",
		"cache.redis.mode": "always", "cache.redis.addresses": "h:1,h:2", "cache.redis.cluster": "true", "cache.redis.tls": "true",
		"cache.redis.secret": strings.Repeat("x", 32), "cache.redis.timeout": "20ms", "cache.redis.ttl": "2s",
		"mail.tls": "implicit", "mail.from": "access@example.com", "mail.give_up_after": "2h",
		"decisions.sinks": "file,store", "decisions.strict": "true", "decisions.mask_users": "true", "decisions.file_sync": "true",
		"audit.refusal_age": "2h", "decisions.file_age": "2h", "decisions.store_age": "2h",
	}
	var env []string
	flags := map[string]string{}
	for _, k := range config.Keys() {
		value, ok := values[k.Name]
		switch {
		case strings.HasSuffix(k.Name, "_file"), k.Name == "cache.redis.master":
			continue // see TestLoad_secretFromFile; a master is at odds with a Cluster
		case ok:
		case strings.HasSuffix(k.Name, "_timeout") || strings.HasSuffix(k.Default, "s"):
			value = "2s"
			if k.Name == "store.stale_after" || k.Name == "server.write_timeout" {
				value = "7s"
			}
		default:
			value = "8192"
			if strings.HasSuffix(k.Name, "json_depth") || strings.HasSuffix(k.Name, "id_bytes") || strings.HasSuffix(k.Name, "conns") {
				value = "20"
			}
		}
		env = append(env, k.Variable()+"="+value)
		flags[k.Flag()] = value
	}
	byEnv, err := config.Load(config.LoadOptions{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	byFlags, err := config.Load(config.LoadOptions{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	byFile, err := load(t, byEnv.Print(false), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if byEnv.Print(false) != byFlags.Print(false) || byFile.Print(false) != byFlags.Print(false) {
		t.Errorf("the places differ:\n%s\n%s\n%s", byEnv.Print(false), byFlags.Print(false), byFile.Print(false))
	}
	defaults := strings.Split(config.Default().Print(false), "\n")
	for i, line := range strings.Split(byEnv.Print(false), "\n") {
		if strings.HasPrefix(line, "  ") && line == defaults[i] && !strings.HasSuffix(line, ":") && !strings.Contains(line, "_file:") && !strings.Contains(line, "master:") {
			t.Errorf("%q did not take the value given", line)
		}
	}
}

func TestLoad_configVariableNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte("log: {level: warn}"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(config.LoadOptions{Env: []string{"BAILIWICK_CONFIG=" + path}})
	if err != nil || got.Log.Level != "warn" {
		t.Errorf("level %q, error %v", got.Log.Level, err)
	}
}

func TestLoad_otherPeoplesVariables(t *testing.T) {
	env := []string{
		"BAILIWICK_SERVER=http://localhost:8080", "BAILIWICK_API_KEY=bw_x", "BAILIWICK_SOAK=1",
		"BAILIWICK_TEST_MYSQL=x", "BAILIWICKX=1", "HOME=/",
	}
	if _, err := config.Load(config.LoadOptions{Env: env}); err != nil {
		t.Error(err)
	}
}

func TestLoad_secretFromFile(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(secret, []byte("root:pw@tcp(db:3306)/bailiwick\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "root:pw@tcp(db:3306)/bailiwick"
	byEnv := []string{"BAILIWICK_STORE_DSN_FILE=" + secret}
	for name, tc := range map[string]struct {
		file  string
		env   []string
		flags map[string]string
		want  string
	}{
		"file key":                        {"store: {driver: mysql, dsn_file: '" + secret + "'}", nil, nil, want},
		"variable":                        {"store: {driver: mysql}", byEnv, nil, want},
		"file beats a weaker value":       {"store: {driver: mysql, dsn: weaker}", byEnv, nil, want},
		"a print of itself":               {"store: {driver: mysql, dsn: '', dsn_file: '" + secret + "'}", nil, nil, want},
		"a stronger value beats the file": {"store: {driver: mysql}", byEnv, map[string]string{"store-dsn": "stronger"}, "stronger"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := load(t, tc.file, tc.env, tc.flags)
			if err != nil || got.Store.DSN != tc.want {
				t.Fatalf("dsn %q, error %v, want %q", got.Store.DSN, err, tc.want)
			}
			printed := got.Print(false)
			if strings.Contains(printed, "root:pw") {
				t.Errorf("what the file holds is printed:\n%s", printed)
			}
			if again, err := load(t, printed, nil, nil); err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("printed\n%s\nread back with error %v as\n%s", printed, err, again.Print(false))
			}
		})
	}
}

func TestLoad_mistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		file  string
		env   []string
		flags map[string]string
		want  string
	}{
		"unknown key":            {file: "server:\n  listn: x", want: "bailiwick.yaml:2:3: server.listn: is not a key; did you mean server.listen?"},
		"unknown section":        {file: "sever: {listen: ':1'}", want: "sever: is not a key; did you mean server?"},
		"nothing like it":        {file: "telephone: {}", want: "telephone: is not a key"},
		"key said twice":         {file: "log:\n  level: info\n  level: warn", want: "bailiwick.yaml:3:3: log.level: is said twice"},
		"section said twice":     {file: "log: {level: info}\nlog: {format: text}", want: ":2:1: log: is said twice"},
		"empty value":            {file: "log: {level: }", want: "log.level: must be one plain value"},
		"map for a value":        {file: "log: {level: {a: b}}", want: "log.level: must be one plain value"},
		"list for a value":       {file: "store: {dsn: [s3cret]}", want: "store.dsn: must be one plain value"},
		"value for a list":       {file: "server: {trusted_proxies: 10.0.0.1}", want: "server.trusted_proxies: must be a list"},
		"list of lists":          {file: "server: {trusted_proxies: [[a]]}", want: "server.trusted_proxies: each item"},
		"value for a section":    {file: "log: info", want: "log: must be a list of key: value lines"},
		"alias":                  {file: "log: {level: &l info, format: *l}", want: "log.format: must be one plain value"},
		"merge key":              {file: "log: {<<: {level: info}}", want: "log.<<: is not a key"},
		"two documents":          {file: "log: {level: info}\n---\nlog: {level: warn}", want: "more than one YAML document"},
		"not YAML":               {file: "log: [", want: "bailiwick.yaml: yaml:"},
		"unknown variable":       {env: []string{"BAILIWICK_SERVER_LISTN=x"}, want: "BAILIWICK_SERVER_LISTN: no setting has this variable; did you mean BAILIWICK_SERVER_LISTEN?"},
		"unknown flag":           {flags: map[string]string{"log-lvl": "x"}, want: "--log-lvl: no setting has this flag; did you mean log-level?"},
		"not a number":           {env: []string{"BAILIWICK_LIMITS_RULES=many"}, want: `BAILIWICK_LIMITS_RULES: limits.rules: "many" is not a whole number`},
		"empty number":           {env: []string{"BAILIWICK_LIMITS_RULES="}, want: `limits.rules: "" is not a whole number`},
		"not a duration":         {flags: map[string]string{"server-read-timeout": "10"}, want: `--server-read-timeout: server.read_timeout: "10" is not a duration`},
		"not a size":             {file: "server: {max_header_bytes: 1MB}", want: `bailiwick.yaml:1:28: server.max_header_bytes: "1MB" is not a size`},
		"huge size":              {file: "server: {max_header_bytes: 99999999999999999999}", want: "server.max_header_bytes:"},
		"negative size":          {file: "server: {max_header_bytes: -1}", want: "is not a size"},
		"not a fraction":         {flags: map[string]string{"shadow-fraction": "half"}, want: `--shadow-fraction: shadow.fraction: "half" is not a number such as "0.01"`},
		"too large a fraction":   {file: "shadow: {fraction: 1.01}", want: "shadow.fraction: 1.01 is outside 0 to 1"},
		"no number at all":       {file: "shadow: {fraction: NaN}", want: "shadow.fraction: NaN is outside 0 to 1"},
		"below the range":        {file: "limits: {rules: 0}", want: "limits.rules: 0 is outside 1 to 10000000"},
		"above the range":        {file: "limits: {rules: 10000001}", want: "limits.rules: 10000001 is outside"},
		"stale limit too small":  {file: "store: {stale_after: 999ms}", want: "store.stale_after: 999ms is outside 1s to 1h"},
		"stale limit too large":  {file: "store: {stale_after: 1h1s}", want: "store.stale_after: 1h0m1s is outside 1s to 1h"},
		"stale before poll":      {file: "store: {stale_after: 1s, poll_interval: 1s}", want: "store.stale_after: 1s must be longer than store.poll_interval"},
		"unknown level":          {file: "log: {level: loud}", want: `log.level: "loud" is not one of debug, info, warn, error`},
		"unknown driver":         {file: "store: {driver: postgres}", want: "store.driver: \"postgres\" is not one of auto, sqlite, mysql"},
		"mysql without DSN":      {file: "store: {driver: mysql}", want: "store.dsn: is required when store.driver is mysql"},
		"empty DSN":              {file: "store: {dsn: ''}", want: "store.dsn: is required"},
		"missing secret file":    {file: "store: {dsn_file: /does/not/exist}", want: "store.dsn_file: open /does/not/exist"},
		"secret twice":           {file: "store: {dsn_file: x, dsn: y}", want: "store.dsn_file: and store.dsn are both given"},
		"idle over open":         {file: "store: {max_idle_conns: 5, max_open_conns: 4}", want: "store.max_idle_conns: 5 must not exceed"},
		"address without port":   {file: "server: {listen: localhost}", want: `server.listen: "localhost" is not host:port`},
		"port too large":         {file: "server: {listen: ':65536'}", want: `server.listen: port "65536"`},
		"bad metrics address":    {file: "server: {metrics_listen: '1'}", want: "server.metrics_listen:"},
		"one address twice":      {file: "server: {listen: ':1', metrics_listen: ':1'}", want: "server.metrics_listen: is the same address"},
		"not a proxy":            {file: "server: {trusted_proxies: [proxy]}", want: `server.trusted_proxies: "proxy" is neither`},
		"relative URL":           {file: "server: {public_url: /x}", want: "server.public_url: must be an absolute"},
		"URL with query":         {file: "server: {public_url: 'https://h/?a=b'}", want: "server.public_url: must be an absolute"},
		"URL with fragment":      {file: "server: {public_url: 'https://h/#a'}", want: "server.public_url: must be an absolute"},
		"URL of another kind":    {file: "server: {public_url: 'ftp://h/'}", want: "server.public_url: must be an absolute"},
		"comma in a list's item": {file: "server: {trusted_proxies: ['10.0.0.1,10.0.0.2']}", want: "server.trusted_proxies: each item"},
		"URL with password":      {file: "server: {public_url: 'https://u:s3cret@h/'}", want: "server.public_url: must be an absolute"},
		"not an address":         {file: "cache: {redis: {addresses: [redis]}}", want: `cache.redis.addresses: "redis" is not host:port`},
		"unknown mode":           {file: "cache: {redis: {mode: sometimes}}", want: `cache.redis.mode: "sometimes" is not one of auto, always, off`},
		"short secret":           {file: "cache: {redis: {secret: s3cret}}", want: "cache.redis.secret: has 6 characters and needs at least 32"},
		"half a certificate":     {file: "cache: {redis: {tls: true, tls_key: k.pem}}", want: "cache.redis.tls_certificate: and cache.redis.tls_key need each other"},
		"TLS by half":            {file: "cache: {redis: {tls_ca: ca.pem}}", want: "cache.redis.tls: is false"},
		"Sentinels of a Cluster": {file: "cache: {redis: {cluster: true, master: main}}", want: "cache.redis.master: and cache.redis.cluster are both given"},
		"neither true nor false": {file: "cache: {redis: {tls: yes}}", want: `cache.redis.tls: "yes" is neither true nor false`},
		"unknown sink":           {file: "decisions: {sinks: [syslog]}", want: `decisions.sinks: "syslog" is none of file, stdout, store`},
		"sink twice":             {file: "decisions: {sinks: [file, file]}", want: `decisions.sinks: "file" is there twice`},
		"strict without a sink":  {file: "decisions: {strict: true}", want: "decisions.strict: is set, and decisions.sinks names none"},
		"file without a path":    {file: "decisions: {sinks: [file], file: ''}", want: "decisions.file: is required"},
		"unknown inner key":      {file: "cache: {redis: {adresses: []}}", want: "cache.redis.adresses: is not a key; did you mean cache.redis.addresses?"},
		"mail from nobody":       {file: "server: {public_url: 'https://h'}\nmail: {server: m}", want: "mail.from: must be an address"},
		"links to nowhere":       {file: "mail: {server: m, from: a@example.com}", want: "server.public_url: is required with mail.server"},
		"mail without server":    {file: "mail: {from: a@example.com}", want: "mail.server: is required"},
		"half of a sign-in":      {file: "server: {public_url: 'https://h'}\nmail: {server: m, from: a@example.com, user: u}", want: "mail.user: and mail.password need each other"},
		"password in the clear":  {file: "server: {public_url: 'https://h'}\nmail: {server: m, from: a@example.com, user: u, password: s3cret, tls: none}", want: "mail.tls: is none"},
		"place of a cross mistake": {
			env: []string{"BAILIWICK_STORE_STALE_AFTER=1s"}, file: "store: {poll_interval: 2s}",
			want: "BAILIWICK_STORE_STALE_AFTER: store.stale_after: 1s must be longer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, tc.file, tc.env, tc.flags)
			if err == nil {
				t.Fatal("no mistake found")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %s\nwant %s", err, tc.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("a secret is told: %s", err)
			}
		})
	}
}

func TestLoad_tellsAllMistakesAtOnce(t *testing.T) {
	_, err := load(t, "log: {level: loud, colour: red}\nlimits: {batch: x}",
		[]string{"BAILIWICK_NONE=1"}, map[string]string{"server-listen": "x"})
	var wrong config.Mistakes
	if !errors.As(err, &wrong) || len(wrong) != 5 {
		t.Errorf("want 5 mistakes, got: %v", err)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(wrong) {
		t.Errorf("%d mistakes in %d lines", len(wrong), lines)
	}
}

func TestLoad_filesThatSayNothing(t *testing.T) {
	for name, file := range map[string]string{"empty": "", "comments": "# nothing\n", "empty section": "server:\n  # listen: x\n"} {
		t.Run(name, func(t *testing.T) {
			if got, err := load(t, file, nil, nil); err != nil || got.Print(false) != config.Default().Print(false) {
				t.Errorf("not the defaults: %v\n%s", err, got.Print(false))
			}
		})
	}
}

func TestLoad_twoListenersMayBothTakeFreePorts(t *testing.T) {
	if _, err := load(t, "server: {listen: 'localhost:0', metrics_listen: 'localhost:0'}", nil, nil); err != nil {
		t.Error(err)
	}
}

func TestLoad_missingFile(t *testing.T) {
	if _, err := config.Load(config.LoadOptions{File: "/does/not/exist.yaml"}); err == nil {
		t.Error("a file that does not exist passes for an empty one")
	}
}

func FuzzLoad_neverPanicsAndPrintsWhatItRead(f *testing.F) {
	f.Add(config.Reference())
	f.Add("server: {trusted_proxies: ['::1']}\nlimits: {rules: 3}")
	f.Add("log: {level: &a info, format: *a}\n---\n")
	f.Fuzz(func(t *testing.T, content string) {
		c, err := load(t, content, nil, nil)
		if err != nil {
			return
		}
		again, err := load(t, c.Print(false), nil, nil)
		if err != nil || again.Print(false) != c.Print(false) {
			t.Errorf("%q is printed as\n%s\nand read back with %v as\n%s", content, c.Print(false), err, again.Print(false))
		}
	})
}
