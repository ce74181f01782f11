-- Chat templates: the Jinja of Hugging Face's tokenizers, as far as templates of chat models use it. A template is data
-- from a file: it is bounded in steps, depth, output and memory, and reaches nothing of Lua.
--
--   local template = jinja.compile(source)
--   local text = jinja.render(template, { messages = { ... }, add_generation_prompt = true })
local fault = require "gpt.jinja.fault"
local globals = require "gpt.jinja.globals"
local lex = require "gpt.jinja.lexer"
local parse = require "gpt.jinja.parser"
local run = require "gpt.jinja.machine"
local values = require "gpt.jinja.values"

local jinja = { names = require "gpt.jinja.names" }

--- Reads a template. Returns it, or nil and what is wrong.
function jinja.compile(source)
  return fault.guard(function() return parse(lex(source)) end)
end

--- The text of a template with variables, a table of Lua values by name. Returns it, or nil and what went wrong.
-- @param options `now`: the seconds since 1970 that strftime_now sees
function jinja.render(template, variables, options)
  return fault.guard(function()
    local scope = globals(options and options.now)
    for name, value in pairs(variables) do scope[name] = values.from(value) end
    return run(template, scope)
  end)
end

return jinja
