// Shows times in the reader's zone, and names it. Without this they are in UTC.
const format = (second) =>
  new Intl.DateTimeFormat(undefined, {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "numeric",
    minute: "2-digit",
    second,
    timeZoneName: "short",
  });
const [toMinutes, toSeconds] = [format(), format("2-digit")];
for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = time.textContent;
  const readable = "seconds" in time.dataset ? toSeconds : toMinutes;
  time.textContent = readable.format(new Date(time.dateTime));
}

// So are the times that are asked for; what is sent stays in UTC.
const toMinute = (time) => time.toISOString().slice(0, "2026-09-21T14:13".length);
for (const field of document.querySelectorAll("input[type=datetime-local]")) {
  for (const label of document.querySelectorAll(`[for=${field.id}], [href="#${field.id}"]`)) {
    label.textContent = label.textContent.replace("UTC", "your time");
  }
  if (field.defaultValue) {
    const time = new Date(field.defaultValue + "Z");
    field.value = toMinute(new Date(time - time.getTimezoneOffset() * 60_000));
  }
  field.form.addEventListener("formdata", ({ formData }) => {
    if (field.value) formData.set(field.name, toMinute(new Date(field.value)));
  });
}
