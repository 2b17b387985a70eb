#!/usr/bin/env bash
# Makes the passwords and URLs that compose.yaml mounts: deploy/secrets.sh [FOLDER]
#
# FOLDER is deploy/secrets unless named. Nothing is ever overwritten: a folder that has all the files stays as it is
# (status 0), one that has some of them is refused (status 1). Needs openssl.
set -euo pipefail
umask 022

deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:-$deploy/secrets}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
files=(
    postgres_password sampler_password redis_password
    owner_url database_url operator_url redis_url training_job_url weights_writer_url desk_reader_url desk_url desk_token
    demo_url grafana_password redis.acl
)

if [ -e "$folder" ] && [ -n "$(ls -A "$folder")" ]; then
    missing=()
    for file in "${files[@]}"; do
        [ -e "$folder/$file" ] || missing+=("$file")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        echo "secrets.sh: $folder lacks ${missing[*]}; move the folder away and run this again" >&2
        exit 1
    fi
    echo "secrets.sh: $folder has all the files; nothing was changed"
    exit 0
fi

new_password() {
    openssl rand -hex 24
}

# Prints the SHA-256 of a password, as redis.acl wants it.
digest() {
    printf %s "$1" | openssl dgst -sha256 -r | cut -c1-64
}

made=$(mktemp -d "${folder%/}.XXXXXX") # nobody else can look into it
trap 'rm -rf "$made"' EXIT
cd "$made"
echo '*' > .gitignore

owner=$(new_password) sampler=$(new_password)
printf %s "$owner" > postgres_password
printf '%s\n' "$sampler" > sampler_password
printf %s "postgresql://owner:$owner@postgres:5432/audio" > owner_url
printf %s "postgresql://sampler:$sampler@postgres:5432/audio" > database_url

operator=$(new_password) worker=$(new_password) job=$(new_password) writer=$(new_password) reader=$(new_password)
printf %s "$operator" > redis_password
printf %s "redis://default:$operator@valkey:6379/0" > operator_url
printf %s "redis://worker:$worker@valkey:6379/0" > redis_url
printf %s "redis://training-job:$job@localhost:6379/0" > training_job_url
printf %s "redis://weights-writer:$writer@localhost:6379/0" > weights_writer_url
printf %s "redis://weights-writer:$writer@valkey:6379/0" > desk_url
new_password > desk_token
printf %s "redis://training-job:$job@valkey:6379/0" > demo_url
new_password > grafana_password
printf %s "redis://desk-reader:$reader@localhost:6379/0" > desk_reader_url
sed -e "s/#DEFAULT/#$(digest "$operator")/; s/#WORKER/#$(digest "$worker")/" \
    -e "s/#TRAINING_JOB/#$(digest "$job")/; s/#WEIGHTS_WRITER/#$(digest "$writer")/" \
    -e "s/#DESK_READER/#$(digest "$reader")/" "$deploy/redis.acl" > redis.acl

# The folder is closed and its files are open: Compose mounts files as they are, and each container reads its own as
# another user.
chmod 644 "${files[@]}"
cd /
if [ -d "$folder" ]; then rmdir "$folder"; fi
mv "$made" "$folder"
echo "secrets.sh: made ${#files[@]} files in $folder"
