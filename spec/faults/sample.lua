-- Whole numbers from 1 to `last`, in order: all, or `most` of them, always the same ones and evenly spread.
return function(last, most)
  local step = most and most < last and (last - 1) / math.max(1, most - 1) or 1
  local i = -1
  return function()
    i = i + 1
    local n = 1 + math.floor(i * step + 0.5)
    if n <= last then return n end
  end
end
