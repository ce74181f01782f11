-- Prosody with a chat bot at bot.localhost, for trying out: anonymous users, on this machine only. From the project's
-- root, with LUAGPT_MODEL, LUAGPT_PORT and LUAGPT_DATA (a directory) in the environment:
--
--   prosody -F --config "$PWD/examples/hosts/prosody/prosody.cfg.lua"
--
-- Then write to bot.localhost in any XMPP client. In a real installation only the last two lines matter.
local root = os.getenv "PWD"
run_as_root = true -- for containers; Prosody otherwise changes to a user of its own
data_path = os.getenv "LUAGPT_DATA"
pidfile = os.getenv "LUAGPT_DATA" .. "/prosody.pid"
log = { info = "*console" }
plugin_paths = { root .. "/examples/hosts/prosody" }
interfaces = { "127.0.0.1" }
c2s_ports = { tonumber(os.getenv "LUAGPT_PORT") }
s2s_ports, c2s_direct_tls_ports, http_ports, https_ports = {}, {}, {}, {}
modules_enabled = { "saslauth", "disco" }
modules_disabled = { "s2s", "tls" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true

VirtualHost "localhost"
authentication = "anonymous"

Component "bot.localhost" "chatbot"
chatbot_model = os.getenv "LUAGPT_MODEL"
