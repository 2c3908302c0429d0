//! Tokens that show by their prefix who issued them.
//!
//! Checksums that some tokens end in are never asked for: a token that was
//! cut or mistyped is a secret too.

use crate::text::is_base64;

/// Tokens of one shape that one vendor issues.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vendor {
    /// The stable name of the rule.
    pub(crate) rule: &'static str,
    /// Who issues them: the documentation is made from it.
    #[cfg_attr(not(test), expect(dead_code))]
    pub(crate) issuer: &'static str,
    /// What they start with; case matters.
    pub(crate) prefixes: &'static [&'static str],
    /// What follows.
    pub(crate) body: Body,
    /// At least so many characters follow.
    pub(crate) min: usize,
    /// What stands before the prefix.
    pub(crate) left: Left,
}

/// The characters of a token after its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Letters and digits.
    Alnum,
    /// Capitals and digits.
    Upper,
    /// Capitals, digits and `_`.
    UpperSnake,
    /// Capitals and digits in groups with `-` between.
    UpperGroups,
    /// Hexadecimal digits.
    Hex,
    /// Hexadecimal digits and `-`, as in a UUID.
    Uuid,
    /// Digits.
    Digits,
    /// Letters, digits, `_` and `-`.
    Url,
    /// Letters, digits, `_`, `-` and `.`.
    Dotted,
    /// Letters, digits, `_`, `-`, `.` and `~`.
    Tilde,
    /// Letters, digits, `_`, `-` and `=`.
    Padded,
    /// What `crypt` makes: base64, `.`, `$`, `,` and `=`.
    Crypt,
    /// Base64 of either alphabet.
    Base64,
    /// Base64 of either alphabet, and `.`, `~`, `:`, `%`.
    Wide,
    /// What a path of a URL is made of.
    Path,
}

impl Body {
    pub(crate) fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::UpperSnake => Self::Upper.has(byte) || byte == b'_',
            Self::UpperGroups => Self::Upper.has(byte) || byte == b'-',
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Uuid => byte.is_ascii_hexdigit() || byte == b'-',
            Self::Base64 => is_base64(byte),
            Self::Digits => byte.is_ascii_digit(),
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Tilde => Self::Dotted.has(byte) || byte == b'~',
            Self::Padded => Self::Url.has(byte) || byte == b'=',
            Self::Crypt => byte.is_ascii_alphanumeric() || b"./+$,=-_".contains(&byte),
            Self::Path => Self::Wide.has(byte) || matches!(byte, b'@' | b'$'),
            Self::Wide => {
                byte.is_ascii_alphanumeric()
                    || matches!(
                        byte,
                        b'_' | b'-' | b'.' | b'+' | b'/' | b'=' | b'~' | b'%' | b':'
                    )
            }
        }
    }
}

/// What stands before the prefix of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// No letter or digit: the token starts with the prefix.
    Edge,
    /// Anything, and the prefix stays: only what follows is secret.
    Stays,
    /// So many characters at least, which belong to the token.
    Part(Body, usize),
}

const fn vendor(
    rule: &'static str,
    issuer: &'static str,
    prefixes: &'static [&'static str],
    body: Body,
    min: usize,
) -> Vendor {
    Vendor {
        rule,
        issuer,
        prefixes,
        body,
        min,
        left: Left::Edge,
    }
}

const fn after(left: Left, vendor: Vendor) -> Vendor {
    Vendor { left, ..vendor }
}

use Body::{
    Alnum, Base64, Crypt, Digits, Dotted, Hex, Padded, Path, Tilde, Upper, UpperGroups, UpperSnake,
    Url, Uuid, Wide,
};

/// `SK` and a first digit: two letters alone are in too many words.
const TWILIO: &[&str] = &[
    "SK0", "SK1", "SK2", "SK3", "SK4", "SK5", "SK6", "SK7", "SK8", "SK9", "SKa", "SKb", "SKc",
    "SKd", "SKe", "SKf",
];

/// All vendors, in the order of the documentation.
#[rustfmt::skip] // A table: one line a vendor.
pub(crate) const VENDORS: &[Vendor] = &[
    vendor("adafruit_key", "Adafruit", &["aio_"], Alnum, 28),
    vendor("adobe_token", "Adobe", &["p8e-"], Alnum, 32),
    vendor("age_key", "age", &["AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1", "AGE-PLUGIN-"], Upper, 40),
    vendor("nostr_key", "Nostr", &["nsec1"], Alnum, 50),
    vendor("airtable_token", "Airtable", &["pat"], Dotted, 70),
    vendor("alibaba_key", "Alibaba Cloud", &["LTAI"], Alnum, 12),
    vendor("amazon_mws_token", "Amazon MWS", &["amzn.mws."], Url, 32),
    vendor("anthropic_key", "Anthropic", &["sk-ant-"], Url, 20),
    vendor("apify_token", "Apify", &["apify_api_"], Alnum, 30),
    vendor("artifactory_key", "JFrog", &["AKCp", "cmVmdGtu"], Alnum, 40),
    vendor("atlassian_token", "Atlassian", &["ATATT3x", "ATCTT3x", "ATBB"], Padded, 24),
    vendor("aws_access_key", "AWS", &["AKIA", "ASIA", "ABIA", "ACCA"], Upper, 16),
    vendor("aws_bedrock_key", "AWS Bedrock", &["ABSK", "bedrock-api-key-"], Wide, 80),
    vendor("aws_session_token", "AWS", &["IQoJb3JpZ2luX2Vj", "FwoGZXIvYXdzE", "FQoGZXIvYXdzE"], Wide, 60),
    after(Left::Part(Alnum, 3), vendor("azure_client_secret", "Azure", &["0Q~", "1Q~", "2Q~", "3Q~", "4Q~", "5Q~", "6Q~", "7Q~", "8Q~", "9Q~"], Tilde, 28)),
    after(Left::Part(Alnum, 40), vendor("azure_devops_token", "Azure DevOps", &["AZDO"], Alnum, 4)),
    after(Left::Part(Base64, 32), vendor("azure_key", "Azure", &["+ASt", "+ABa", "+AMC", "+ASb", "+AEh", "+ARm", "+ACR", "AIoT", "APIM", "ACDb", "AzFu", "AzSe", "AzCa"], Base64, 5)),
    vendor("buildkite_token", "Buildkite", &["bkua_"], Alnum, 32),
    vendor("cargo_token", "cargo", &["cio"], Alnum, 32),
    vendor("cerebras_key", "Cerebras", &["csk-"], Alnum, 40),
    vendor("circleci_token", "CircleCI", &["CCIPAT_", "CCIPRJ_"], Wide, 30),
    vendor("clickhouse_key", "ClickHouse Cloud", &["4b1d"], Alnum, 38),
    vendor("clickup_token", "ClickUp", &["pk_"], UpperSnake, 36),
    vendor("cloudflare_key", "Cloudflare", &["v1.0-"], Url, 150),
    vendor("cloudflare_token", "Cloudflare", &["cfut_", "cfat_", "cfk_"], Alnum, 36),
    vendor("clojars_token", "Clojars", &["CLOJARS_"], Alnum, 40),
    vendor("contentful_token", "Contentful", &["CFPAT-"], Url, 40),
    vendor("cursor_key", "Cursor", &["key_"], Hex, 60),
    vendor("databricks_token", "Databricks", &["dapi", "dkea", "dose"], Hex, 30),
    vendor("defined_networking_key", "Defined Networking", &["dnkey-"], Url, 70),
    vendor("der_key", "RSA, EC and OpenSSH keys without their PEM lines", &["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "MIIEvgIBADANBgkqhkiG9w0BAQEFAASC", "MIIEvAIBADANBgkqhkiG9w0BAQEFAASC", "MIIJQgIBADANBgkqhkiG9w0BAQEFAASC", "MIIJQwIBADANBgkqhkiG9w0BAQEFAASC", "MIIJRAIBADANBgkqhkiG9w0BAQEFAASC", "MIICdwIBADANBgkqhkiG9w0BAQEFAASC", "MIICdgIBADANBgkqhkiG9w0BAQEFAASC", "MIIEpAIBAAKCAQEA", "MIIEowIBAAKCAQEA", "MIIEogIBAAKCAQEA", "MIIEpQIBAAKCAQEA", "MIIJKAIBAAKCAgEA", "MIIJKQIBAAKCAgEA", "MIIJJwIBAAKCAgEA", "MIICXAIBAAKBgQ", "MIICXQIBAAKBgQ", "MIICWwIBAAKBgQ", "MHcCAQEEI", "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg", "MIGkAgEBBD", "MC4CAQAwBQYDK2VwBCIEI", "b3BlbnNzaC1rZXktdjE"], Base64, 40),
    vendor("digitalocean_token", "DigitalOcean", &["dop_v1_", "doo_v1_", "dor_v1_"], Hex, 40),
    after(Left::Stays, vendor("discord_webhook", "Discord", &["discord.com/api/webhooks/", "discordapp.com/api/webhooks/", "discord.com/api/v10/webhooks/", "discord.com/api/v9/webhooks/"], Wide, 40)),
    vendor("docker_token", "Docker Hub", &["dckr_pat_", "dckr_oat_"], Url, 20),
    vendor("doppler_token", "Doppler", &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."], Dotted, 30),
    vendor("dropbox_token", "Dropbox", &["sl.u.", "sl.B", "sl.A"], Url, 60),
    vendor("duffel_token", "Duffel", &["duffel_live_", "duffel_test_"], Url, 40),
    vendor("dynatrace_token", "Dynatrace", &["dt0c01.", "dt0s16.", "dt0s01."], Dotted, 60),
    vendor("e2b_key", "E2B", &["e2b_"], Hex, 32),
    vendor("easypost_key", "EasyPost", &["EZAK", "EZTK"], Alnum, 50),
    vendor("facebook_token", "Facebook", &["EAA"], Alnum, 60),
    after(Left::Stays, vendor("feishu_webhook", "Feishu and Lark", &["/open-apis/bot/v2/hook/"], Url, 30)),
    after(Left::Part(Url, 8), vendor("fcm_key", "Firebase Cloud Messaging", &[":APA91b"], Url, 60)),
    vendor("fernet_token", "Keystone and others that use Fernet", &["gAAAAAB"], Wide, 60),
    vendor("figma_token", "Figma", &["figd_", "figu_"], Url, 30),
    vendor("firecrawl_key", "Firecrawl", &["fc-"], Hex, 32),
    vendor("fireworks_key", "Fireworks", &["fw_"], Alnum, 22),
    vendor("flutterwave_key", "Flutterwave", &["FLWSECK-", "FLWSECK_TEST-", "FLWSECK_TEST"], Url, 12),
    vendor("fly_token", "Fly.io", &["fo1_", "fm1_", "fm1a_", "fm2_", "fm1r_"], Wide, 40),
    vendor("frameio_token", "Frame.io", &["fio-u-"], Url, 40),
    vendor("github_token", "GitHub", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"], Dotted, 20),
    vendor("gitlab_token", "GitLab", &["glpat-", "gldt-", "glptt-", "glrt-", "glrtr-", "glcbt-", "glft-", "glffct-", "glsoat-", "glimt-", "glagent-", "gloas-", "GR1348941"], Dotted, 20),
    vendor("google_api_key", "Google", &["AIza"], Url, 30),
    vendor("google_client_secret", "Google", &["GOCSPX-"], Url, 20),
    vendor("google_oauth_token", "Google", &["ya29.", "1//0", "4/0A", "AQ.Ab8"], Dotted, 20),
    vendor("grafana_token", "Grafana", &["glsa_", "glc_", "eyJrIjoi"], Wide, 30),
    vendor("groq_key", "Groq", &["gsk_"], Alnum, 40),
    vendor("harness_token", "Harness", &["pat.", "sat."], Dotted, 55),
    vendor("heroku_key", "Heroku", &["HRKU-"], Url, 30),
    vendor("honeycomb_key", "Honeycomb", &["hcaik_", "hcalk_", "hcamk_", "hcxik_"], Alnum, 40),
    vendor("hubspot_token", "HubSpot", &["pat-na1-", "pat-na2-", "pat-eu1-"], Url, 32),
    vendor("huggingface_token", "Hugging Face", &["hf_", "api_org_"], Alnum, 30),
    vendor("infisical_token", "Infisical", &["st."], Dotted, 80),
    vendor("infracost_key", "Infracost", &["ico-"], Alnum, 30),
    vendor("inngest_key", "Inngest", &["signkey-prod-", "signkey-test-", "signkey-staging-"], Hex, 32),
    vendor("instagram_token", "Instagram", &["IGQV", "IGAA"], Url, 60),
    vendor("intercom_token", "Intercom", &["dG9rO"], Wide, 40),
    vendor("intra42_secret", "Intra42", &["s-s4t2ud-", "s-s4t2af-"], Hex, 60),
    vendor("jina_key", "Jina", &["jina_"], Alnum, 40),
    vendor("k3s_token", "k3s", &["K10"], Wide, 70),
    after(Left::Stays, vendor("kubernetes_token", "Kubernetes, over WebSocket", &["bearer.authorization.k8s.io."], Url, 20)),
    vendor("langsmith_key", "LangSmith", &["lsv2_pt_", "lsv2_sk_", "ls__"], Url, 30),
    vendor("launchdarkly_key", "LaunchDarkly", &["api-", "sdk-"], Uuid, 36),
    vendor("linear_key", "Linear", &["lin_api_", "lin_oauth_", "lin_wh_"], Alnum, 32),
    vendor("lob_key", "Lob", &["live_", "test_"], Hex, 30),
    after(Left::Part(Hex, 32), vendor("mailchimp_key", "Mailchimp", &["-us"], Digits, 1)),
    vendor("mailersend_token", "MailerSend", &["mlsn."], Alnum, 40),
    vendor("mailgun_key", "Mailgun", &["key-", "pubkey-"], Alnum, 32),
    vendor("mapbox_token", "Mapbox", &["sk.eyJ"], Dotted, 40),
    after(Left::Part(Url, 30), vendor("maxmind_key", "MaxMind", &["_mmk"], Alnum, 0)),
    vendor("mongodb_atlas_secret", "MongoDB Atlas", &["mdb_sa_sk_"], Url, 30),
    vendor("neon_key", "Neon", &["napi_"], Alnum, 40),
    vendor("netlify_token", "Netlify", &["nfp_", "nfc_", "nfo_", "nfu_"], Alnum, 30),
    vendor("newrelic_key", "New Relic", &["NRAK-", "NRAL-", "NRII-", "NRIQ-", "NRRA-", "NRSP-", "NRJS-"], Url, 18),
    after(Left::Part(Alnum, 30), vendor("newrelic_license", "New Relic", &["NRAL"], Alnum, 0)),
    vendor("notion_token", "Notion", &["ntn_", "secret_"], Alnum, 40),
    vendor("npm_token", "npm", &["npm_"], Alnum, 30),
    after(Left::Stays, vendor("nt_hash", "Windows, in dumps of passwords", &["aad3b435b51404eeaad3b435b51404ee:"], Hex, 32)),
    vendor("nuget_key", "NuGet", &["oy2"], Alnum, 43),
    vendor("nvidia_key", "NVIDIA", &["nvapi-"], Url, 50),
    vendor("octopus_key", "Octopus Deploy", &["API-"], Upper, 25),
    vendor("onepassword_secret_key", "1Password", &["A3-"], UpperGroups, 26),
    vendor("onepassword_token", "1Password", &["ops_eyJ"], Wide, 30),
    vendor("openai_key", "OpenAI and those that follow its shape", &["sk-", "sess-"], Url, 20),
    vendor("openshift_token", "OpenShift", &["sha256~"], Url, 40),
    vendor("openvsx_token", "Open VSX", &["ovsxat_", "ovsxp_"], Url, 30),
    vendor("ory_token", "Ory", &["ory_at_", "ory_rt_", "ory_st_", "ory_pat_", "ory_apikey_"], Dotted, 30),
    vendor("paseto", "whoever uses PASETO", &["v1.local.", "v2.local.", "v3.local.", "v4.local.", "v1.public.", "v2.public.", "v3.public.", "v4.public."], Dotted, 50),
    vendor("password_hash", "`crypt` and its like", &["$1$", "$5$", "$6$", "$y$", "$2a$", "$2b$", "$2y$", "$apr1$", "$argon2id$", "$argon2i$", "$scrypt$", "$pbkdf2", "pbkdf2_sha256$", "{SSHA}", "{SSHA512}"], Crypt, 20),
    vendor("paypal_token", "PayPal and Braintree", &["access_token$production$", "access_token$sandbox$"], Path, 30),
    vendor("perplexity_key", "Perplexity", &["pplx-"], Alnum, 40),
    vendor("pinecone_key", "Pinecone", &["pcsk_"], Url, 40),
    vendor("plaid_token", "Plaid", &["access-sandbox-", "access-development-", "access-production-"], Url, 32),
    vendor("planetscale_token", "PlanetScale", &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"], Dotted, 30),
    vendor("polar_token", "Polar", &["polar_oat_", "polar_pat_"], Alnum, 30),
    vendor("posthog_key", "PostHog", &["phx_"], Alnum, 40),
    vendor("postman_key", "Postman", &["PMAK-"], Url, 40),
    vendor("prefect_key", "Prefect", &["pnu_", "pnb_"], Alnum, 30),
    vendor("pubnub_key", "PubNub", &["sec-c-"], Url, 30),
    vendor("pulumi_token", "Pulumi", &["pul-"], Hex, 36),
    vendor("pypi_token", "PyPI", &["pypi-"], Url, 50),
    vendor("razorpay_key", "Razorpay", &["rzp_live_", "rzp_test_"], Alnum, 14),
    vendor("readme_key", "ReadMe", &["rdme_"], Alnum, 50),
    vendor("render_key", "Render", &["rnd_"], Alnum, 24),
    vendor("replicate_token", "Replicate", &["r8_"], Alnum, 30),
    vendor("resend_key", "Resend", &["re_"], Url, 30),
    vendor("rootly_key", "Rootly", &["rootly_"], Hex, 60),
    vendor("rubygems_key", "RubyGems", &["rubygems_"], Hex, 40),
    vendor("runpod_key", "RunPod", &["rpa_"], Alnum, 36),
    vendor("scalingo_token", "Scalingo", &["tk-us-"], Url, 40),
    vendor("scram_hash", "PostgreSQL and others that use SCRAM", &["SCRAM-SHA-1$", "SCRAM-SHA-256$", "SCRAM-SHA-512$"], Path, 60),
    vendor("sendgrid_key", "SendGrid", &["SG."], Dotted, 40),
    vendor("sendinblue_key", "Brevo", &["xkeysib-", "xsmtpsib-"], Url, 60),
    vendor("sentry_token", "Sentry", &["sntrys_", "sntryu_", "sntrya_"], Wide, 30),
    vendor("settlemint_token", "SettleMint", &["sm_pat_", "sm_aat_", "sm_sat_"], Alnum, 16),
    vendor("shippo_token", "Shippo", &["shippo_live_", "shippo_test_"], Hex, 36),
    vendor("shopify_token", "Shopify", &["shpat_", "shpca_", "shppa_", "shpss_", "shptka_"], Hex, 30),
    vendor("slack_token", "Slack", &["xoxb-", "xoxa-", "xoxp-", "xoxr-", "xoxs-", "xoxe-", "xoxo-", "xoxc-", "xapp-", "xoxe.xoxb-", "xoxe.xoxp-", "xwfp-"], Dotted, 16),
    vendor("slack_cookie", "Slack", &["xoxd-"], Wide, 16),
    after(Left::Stays, vendor("slack_webhook", "Slack", &["hooks.slack.com/services/", "hooks.slack.com/workflows/", "hooks.slack.com/triggers/", "hooks.slack.com\\/services\\/"], Wide, 20)),
    vendor("sonar_token", "SonarQube", &["squ_", "sqp_", "sqa_"], Hex, 36),
    vendor("sourcegraph_token", "Sourcegraph", &["sgp_", "slk_"], Url, 36),
    vendor("square_token", "Square", &["sq0atp-", "sq0csp-", "sq0idp-", "EAAA"], Url, 22),
    vendor("stripe_key", "Stripe", &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "rk_prod_", "sk_prod_", "sk_org_"], Alnum, 14),
    vendor("stripe_webhook", "Stripe, Svix and others", &["whsec_"], Base64, 20),
    vendor("stytch_secret", "Stytch", &["secret-live-", "secret-test-"], Base64, 30),
    vendor("swarm_token", "Docker Swarm", &["SWMTKN-1-"], Url, 40),
    vendor("supabase_key", "Supabase", &["sbp_", "sb_secret_"], Url, 24),
    vendor("tailscale_key", "Tailscale", &["tskey-"], Url, 20),
    vendor("tavily_key", "Tavily", &["tvly-"], Url, 28),
    after(Left::Stays, vendor("teams_webhook", "Microsoft Teams", &[".webhook.office.com/webhookb2/", "outlook.office.com/webhook/", "outlook.office365.com/webhook/"], Path, 60)),
    after(Left::Part(Digits, 8), vendor("telegram_token", "Telegram", &[":AA"], Url, 30)),
    vendor("tencent_key", "Tencent Cloud", &["AKID"], Alnum, 30),
    after(Left::Part(Alnum, 14), vendor("terraform_token", "Terraform Cloud", &[".atlasv1."], Url, 50)),
    vendor("together_key", "Together", &["tgp_v1_"], Url, 30),
    vendor("trello_token", "Trello", &["ATTA"], Hex, 60),
    vendor("trigger_key", "Trigger.dev", &["tr_prod_", "tr_dev_", "tr_stg_"], Alnum, 18),
    vendor("twilio_key", "Twilio", TWILIO, Hex, 31),
    vendor("twitter_token", "X", &["AAAAAAAAAAAAAAAAAAAAA"], Wide, 50),
    vendor("typeform_token", "Typeform", &["tfp_"], Dotted, 40),
    vendor("vault_token", "HashiCorp Vault", &["hvs.", "hvb.", "hvr."], Url, 20),
    vendor("vercel_token", "Vercel", &["vcp_", "vci_", "vck_", "vca_"], Alnum, 24),
    vendor("vercel_blob_token", "Vercel", &["vercel_blob_rw_"], Url, 30),
    vendor("voyage_key", "Voyage", &["pa-"], Url, 40),
    vendor("wallet_key", "wallets (BIP 32)", &["xprv", "yprv", "zprv", "tprv"], Alnum, 90),
    vendor("wandb_key", "Weights & Biases", &["wandb_v1_"], Url, 40),
    vendor("xai_key", "xAI", &["xai-"], Alnum, 50),
    vendor("yandex_key", "Yandex", &["AQVN", "y0_", "t1.9"], Dotted, 35),
    vendor("zuplo_key", "Zuplo", &["zpka_"], Wide, 32),
    vendor("elevenlabs_key", "ElevenLabs", &["sk_"], Hex, 40),
];

/// True for characters that look drawn at random: a long run of letters and
/// digits with a digit or both cases in it. `sk-learn-style-name` is none.
pub(crate) fn looks_random(body: &[u8]) -> bool {
    body.split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|run| run.len() >= 8 || run.len() == body.len())
        .any(|run| {
            let has = |class: fn(&u8) -> bool| run.iter().any(class);
            let digit = has(u8::is_ascii_digit);
            let upper = has(u8::is_ascii_uppercase);
            let lower = has(u8::is_ascii_lowercase);
            (digit && (upper || lower || run.len() >= 16)) || (upper && lower)
        })
        || is_mixed(body)
}

/// Dashes cut a token into short runs; then all three classes must be in it.
fn is_mixed(body: &[u8]) -> bool {
    let count = |class: fn(&u8) -> bool| body.iter().filter(|byte| class(byte)).count();
    count(u8::is_ascii_digit) > 0
        && count(u8::is_ascii_uppercase) > 1
        && count(u8::is_ascii_lowercase) > 1
        && body.len() >= 12
        && body.iter().all(|&byte| Body::Wide.has(byte))
}
