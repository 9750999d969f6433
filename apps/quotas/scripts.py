"""The counters' arithmetic, in Lua: each script is one step that nobody can come between.

A counter is a row [key, name, place of the metric, amount, size, span, end of the period, words for a refusal]:
- size > 0 slides: buckets of `size` seconds, the running one and `span` before it. The hash has the newest bucket
  under `name`, the sum under `name=`, each bucket under `name:place`. Who looks first drops the buckets that have left.
- size 0 is of a period, `span` says which; for what is held there is only one, without an end. The hash has the period
  under `name` and the sum under `name=`. A period that is over is reset by who looks first.
- size -1 is a set of leases, each with the time at which it ends by itself.

A counter without a head is not known: Redis has lost it or nobody was limited by it before. It has to be read from the
ledger (seeding.py) before anything passes. What is reserved for a source stands in one hash until it is settled.
The clock is that of Redis, unless a test gives another.
"""

from contracts import names

_COUNTERS = """
local function clock(given)
  if given and given ~= '' then return tonumber(given) end
  local now = redis.call('TIME')
  return now[1] + now[2] / 1000000
end

local function bucket_name(row, bucket)
  return row[2] .. ':' .. bucket % (row[6] + 1)
end

local function slid(row, last, sum, there, now, at)
  if not last then return nil end
  local key, name, size, span = row[1], row[2], row[5], row[6]
  local newest, bucket = math.max(last, math.floor(now / size)), math.floor(at / size)
  if newest > last then
    local places = {}
    for passed = last + 1, math.min(newest, last + span + 1) do places[#places + 1] = bucket_name(row, passed) end
    for _, left in ipairs(redis.call('HMGET', key, unpack(places))) do sum = sum - (tonumber(left) or 0) end
    redis.call('HDEL', key, unpack(places))
    redis.call('HSET', key, name, newest, name .. '=', sum)
    redis.call('EXPIRE', key, __KEEP__)
    if bucket > last then there = 0 end
  end
  if bucket > newest then bucket, there = newest, nil end
  return {sum = sum, newest = newest, bucket = bucket, there = there, is_open = newest - bucket <= span}
end

local function of_period(row, known, sum)
  if not known then return nil end
  local key, name, period = row[1], row[2], row[6]
  if known < period then
    redis.call('HSET', key, name, period, name .. '=', 0)
    redis.call('EXPIRE', key, __KEEP__)
    known, sum = period, 0
  end
  return {sum = sum, newest = known, is_open = known == period}
end

local function leased(row, now)
  redis.call('ZREMRANGEBYSCORE', row[1], '-inf', now)
  return {sum = redis.call('ZCARD', row[1]), newest = 0}
end

-- By row: the sum, the newest bucket or period, and of the time `at` the bucket, what is in it and whether it counts.
-- Nothing for a counter that is not known. One read a hash: a call costs more than what it reads.
local function look(rows, now, at)
  local wanted, places, found = {}, {}, {}
  for i, row in ipairs(rows) do
    if row[5] < 0 then
      found[i] = leased(row, now)
    else
      local key, name = row[1], row[2]
      local fields, of = wanted[key] or {}, places[key] or {}
      wanted[key], places[key] = fields, of
      of[#of + 1] = i
      fields[#fields + 1] = name
      fields[#fields + 1] = name .. '='
      fields[#fields + 1] = row[5] > 0 and bucket_name(row, math.floor(at / row[5])) or name
    end
  end
  for key, fields in pairs(wanted) do
    local values = redis.call('HMGET', key, unpack(fields))
    for n, i in ipairs(places[key]) do
      local row, last, sum = rows[i], tonumber(values[3 * n - 2]), tonumber(values[3 * n - 1])
      if row[5] > 0 then
        found[i] = slid(row, last, sum, tonumber(values[3 * n]) or 0, now, at)
      else
        found[i] = of_period(row, last, sum)
      end
    end
  end
  return found
end

-- To the sum and the bucket of what was looked at; `write` does it.
local function put(row, state, amount, changes)
  local fields = changes[row[1]] or {}
  changes[row[1]] = fields
  state.sum = state.sum + amount
  fields[#fields + 1] = row[2] .. '='
  fields[#fields + 1] = state.sum
  if row[5] <= 0 then return end
  if not state.there then
    redis.call('HINCRBY', row[1], bucket_name(row, state.bucket), amount)
    return
  end
  fields[#fields + 1] = bucket_name(row, state.bucket)
  fields[#fields + 1] = state.there + amount
end

local function write(changes)
  for key, fields in pairs(changes) do redis.call('HSET', key, unpack(fields)) end
end

-- Seconds until so much has left the window; -1: never.
local function wait(row, much, newest, now)
  local name, size, span, places = row[2], row[5], row[6], {}
  for bucket = newest - span, newest do places[#places + 1] = bucket_name(row, bucket) end
  for i, left in ipairs(redis.call('HMGET', row[1], unpack(places))) do
    much = much - (tonumber(left) or 0)
    if much <= 0 then return (newest + i) * size - now end
  end
  return -1
end
"""

# admit(rows, amounts, source, end of the leases, what else the reservation says, clock). Answers {'admitted', used...},
# {'unknown'}, or {'refused', place of the counter, seconds, used...}: of the counters that refuse the one that does so
# for longest; -1 is for ever. Used is what there is now, -1 where nothing was asked. A source that has its reservation
# has passed before.
ADMIT = (
    _COUNTERS
    + """
local function seconds_of(row, much, newest, now)
  if row[5] > 0 then return wait(row, much, newest, now) end
  if row[5] < 0 then return 0 end
  return row[7] > 0 and row[7] - now or -1
end

local function asked_of(rows, amounts)
  local asked, adds, places = {}, {}, {}
  for i, row in ipairs(rows) do
    local add = row[5] < 0 and 1 or amounts[row[3]]
    if add > 0 then
      asked[#asked + 1], adds[#adds + 1], places[#places + 1] = row, add, i
    end
  end
  return asked, adds, places
end

local function refusing(asked, adds, states, now)
  local refused, longest = nil, -1
  for n, row in ipairs(asked) do
    local much = states[n].sum + adds[n]
    if much > row[4] then
      local seconds = seconds_of(row, much - row[4], states[n].newest, now)
      if longest ~= math.huge and (seconds < 0 or seconds > longest) then
        refused, longest = n, seconds < 0 and math.huge or seconds
      end
    end
  end
  return refused, longest == math.huge and -1 or longest
end

local function lease(row, state, source, ends)
  redis.call('ZADD', row[1], ends, string.match(source, ':(.*)'))
  redis.call('EXPIRE', row[1], __KEEP__)
  state.sum = state.sum + 1
end

local function used_by(rows, places, states)
  local used = {}
  for i = 1, #rows do used[i] = -1 end
  for n, i in ipairs(places) do used[i] = states[n].sum end
  return unpack(used)
end

local function admit(args)
  local rows, amounts, source, now = cjson.decode(args[1]), cjson.decode(args[2]), args[3], clock(args[6])
  if redis.call('HEXISTS', '__RESERVATIONS__', source) == 1 then return true, {'admitted'} end
  local asked, adds, places = asked_of(rows, amounts)
  local states = look(asked, now, now)
  for n = 1, #asked do
    if not states[n] then return false, {'unknown'} end
  end
  local refused, seconds = refusing(asked, adds, states, now)
  if refused then
    redis.call('HINCRBY', '__REFUSALS__', math.floor(now / 3600) .. ' ' .. asked[refused][8], 1)
    return false, {'refused', places[refused], tostring(seconds), used_by(rows, places, states)}
  end
  local changes = {}
  for n, row in ipairs(asked) do
    if row[5] < 0 then lease(row, states[n], source, args[4]) else put(row, states[n], adds[n], changes) end
  end
  write(changes)
  local at = string.format('%.3f', math.floor(now * 1000) / 1000)  -- rounded up it might be of the next bucket
  local said = '{"rows":' .. args[1] .. ',"amounts":' .. args[2] .. ',"at":' .. at
  redis.call('HSET', '__RESERVATIONS__', source, said .. ',' .. args[5] .. '}')
  return true, {'admitted', used_by(rows, places, states)}
end
"""
)

# For what is no request.
RESERVE = ADMIT + "local _, said = admit(ARGV) return said"

# ARGV source, amounts, rows of the counters that hold for the account now, clock. What was used takes the place of what
# was reserved, at the time of the reservation; what is over or not known by now is left as it is. 0: somebody has done
# so before, or nothing was reserved.
SETTLE = (
    _COUNTERS
    + """
local said = redis.call('HGET', '__RESERVATIONS__', ARGV[1])
if not said then return 0 end
local held, amounts, now, seen = cjson.decode(said), cjson.decode(ARGV[2]), clock(ARGV[4]), {}
local rows, adds = {}, {}
local function change(row, amount)
  if amount ~= 0 then rows[#rows + 1], adds[#adds + 1] = row, amount end
end
for _, row in ipairs(held.rows) do
  seen[row[1] .. ' ' .. row[2]] = true
  if row[5] < 0 then
    redis.call('ZREM', row[1], string.match(ARGV[1], ':(.*)'))
  else
    change(row, amounts[row[3]] - held.amounts[row[3]])
  end
end
for _, row in ipairs(cjson.decode(ARGV[3])) do
  if row[5] >= 0 and not seen[row[1] .. ' ' .. row[2]] then change(row, amounts[row[3]]) end
end
local states, changes = look(rows, now, held.at), {}
for n, row in ipairs(rows) do
  if states[n] and states[n].is_open then put(row, states[n], adds[n], changes) end
end
write(changes)
redis.call('HDEL', '__RESERVATIONS__', ARGV[1])
return 1
"""
)

# ARGV rows, clock. For each counter used and, of one that slides, the time at which that has left; -1 where not known.
READ = (
    _COUNTERS
    + """
local function empty_at(row, newest)
  for bucket = newest, newest - row[6], -1 do
    local left = redis.call('HGET', row[1], bucket_name(row, bucket))
    if (tonumber(left) or 0) > 0 then return (bucket + row[6] + 1) * row[5] end
  end
  return 0
end

local now, rows, answer = clock(ARGV[2]), cjson.decode(ARGV[1]), {}
local states = look(rows, now, now)
for i, row in ipairs(rows) do
  local state = states[i]
  answer[#answer + 1] = state and state.sum or -1
  answer[#answer + 1] = state and row[5] > 0 and empty_at(row, state.newest) or 0
end
return answer
"""
)

# ARGV row, list of {bucket, amount} (one, with any bucket, for a period). Who was first has the word.
SEED = """
local row = cjson.decode(ARGV[1])
local key, name, size, span = row[1], row[2], row[5], row[6]
if redis.call('HEXISTS', key, name) == 1 then return 0 end
local sum, newest = 0, size > 0 and 0 or span
for _, pair in ipairs(cjson.decode(ARGV[2])) do
  sum = sum + pair[2]
  if size > 0 then
    newest = math.max(newest, pair[1])
    redis.call('HINCRBY', key, name .. ':' .. pair[1] % (span + 1), pair[2])
  end
end
redis.call('HSET', key, name, newest, name .. '=', sum)
redis.call('EXPIRE', key, __KEEP__)
return 1
"""

KEEP = 35 * 86_400  # seconds that the counters of somebody who does nothing stay; after that the ledger knows them


def _filled(script: str) -> str:
    for name, value in {
        "__RESERVATIONS__": names.RESERVATIONS_KEY,
        "__REFUSALS__": names.REFUSALS_KEY,
        "__KEEP__": str(KEEP),
    }.items():
        script = script.replace(name, value)
    return script


ADMIT, RESERVE, SETTLE, READ, SEED = map(_filled, (ADMIT, RESERVE, SETTLE, READ, SEED))
