// Another text in each release; the checks put a new one here for each build.
export const release = 'development';
