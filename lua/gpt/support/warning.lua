-- Warnings: through Lua's own `warn`, which a host may silence, redirect or leave out. Nothing else is written to.
return function(format, ...)
  if warn then warn(format:format(...)) end
end
